//! A handler that does what a test tells it, also what no good handler does.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use akri_exchange::{Answer, Device, Failure, Hello, Request, RequestId, layout};
use rustix::fs::OFlags;

use super::eventually;

/// The scripted handler. Dropping it is its death: nobody reads the FIFO any more, and nothing is cleaned up.
pub struct Script {
    exchange: PathBuf,
    fifo: File,
}

impl Script {
    /// Starts, as soon as the FIFO is there, and announces itself as debugEcho 1.0 without a grace time.
    pub async fn start(exchange: &Path) -> Self {
        Self::start_as(exchange, &hello("debugEcho", "1.0", 0)).await
    }

    pub async fn start_with_grace(exchange: &Path, removal_grace_ms: u64) -> Self {
        Self::start_as(exchange, &hello("debugEcho", "1.0", removal_grace_ms)).await
    }

    pub async fn start_named(exchange: &Path, name: &str, version: &str) -> Self {
        Self::start_as(exchange, &hello(name, version, 0)).await
    }

    async fn start_as(exchange: &Path, hello: &Hello) -> Self {
        let wake = exchange.join(layout::WAKE);
        eventually("the FIFO", || wake.exists()).await;
        let nonblocking = OFlags::NONBLOCK.bits() as i32;
        let fifo = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(wake).unwrap();
        let script = Self { exchange: exchange.to_owned(), fifo };
        script.put(layout::HELLO, &hello.to_json());
        script
    }

    /// The next request that stands there, once there are so many.
    pub async fn requests(&self, count: usize) -> Vec<(RequestId, Request)> {
        eventually("the requests", || super::requests(&self.exchange).len() >= count).await;
        let read = |path: &PathBuf| {
            let id = layout::request_id(path.file_name().unwrap().to_str().unwrap()).unwrap();
            (id, Request::parse(&std::fs::read(path).unwrap(), id).unwrap())
        };
        super::requests(&self.exchange).iter().map(read).collect()
    }

    /// The one request that stands there.
    pub async fn request(&self) -> (RequestId, Request) {
        self.requests(1).await.remove(0)
    }

    /// Answers with devices of these ids.
    pub fn list(&self, id: RequestId, ids: &[&str]) {
        self.devices(id, ids.iter().copied().map(Device::new).collect());
    }

    pub fn devices(&self, id: RequestId, devices: Vec<Device>) {
        self.raw(id, &Answer::devices(id, devices).to_json());
    }

    pub fn fail(&self, id: RequestId, failure: Failure) {
        self.raw(id, &Answer::failed(id, failure).to_json());
    }

    /// Writes any bytes as the answer.
    pub fn raw(&self, id: RequestId, bytes: &[u8]) {
        self.put(&format!("{}/{}", layout::ANSWERS, layout::message(id)), bytes);
    }

    /// Renames anything that was made under a temporary name to where an answer is expected.
    pub fn in_place_of(&self, id: RequestId, make: impl FnOnce(&Path)) {
        let temporary = self.exchange.join(".odd");
        make(&temporary);
        std::fs::rename(temporary, self.exchange.join(layout::ANSWERS).join(layout::message(id))).unwrap();
    }

    /// Writes any file in the exchange, whole.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let temporary = self.exchange.join(".new");
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(temporary, self.exchange.join(name)).unwrap();
    }

    /// Reads the wake-ups that came; waits for the first of them.
    pub async fn woken(&mut self) -> Vec<u8> {
        use std::io::Read;
        let fifo = &self.fifo;
        eventually("a wake-up", || rustix::io::ioctl_fionread(fifo).unwrap() > 0).await;
        let mut bytes = vec![0; 65536];
        let read = self.fifo.read(&mut bytes).unwrap();
        bytes.truncate(read);
        bytes
    }

    /// Reads wake-ups until one of this kind came.
    pub async fn woken_by(&mut self, byte: u8) {
        while !self.woken().await.contains(&byte) {}
    }

    /// Whether wake-ups wait.
    pub fn rung(&self) -> bool {
        rustix::io::ioctl_fionread(&self.fifo).unwrap() > 0
    }
}

fn hello(name: &str, version: &str, removal_grace_ms: u64) -> Hello {
    use std::sync::atomic::{AtomicU32, Ordering};
    static STARTS: AtomicU32 = AtomicU32::new(0);
    Hello {
        name: name.parse().unwrap(),
        version: version.into(),
        instance: STARTS.fetch_add(1, Ordering::Relaxed).to_string(),
        shared: true,
        rescan_ms: 0,
        removal_grace_ms,
    }
}

/// The bytes of an answer with one device.
pub fn answer_bytes(id: RequestId) -> Vec<u8> {
    Answer::devices(id, vec![Device::new("x")]).to_json()
}
