//! The proxy's side of an exchange directory, as tests play it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use akri_exchange::{Answer, Device, Hello, Outcome, Properties, Request, RequestId, Wake, layout};
use rustix::fs::{CWD, Mode};

/// Longer than anything here takes, also on a busy machine: only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A temporary exchange directory.
pub(crate) struct Exchange(tempfile::TempDir);

/// Looks again and again until there is something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Details that ask for these descriptions.
pub(crate) fn details<const N: usize>(descriptions: [&str; N]) -> String {
    serde_json::json!({ "descriptions": descriptions.as_slice() }).to_string()
}

impl Exchange {
    /// With folders and FIFO, as a proxy makes them.
    pub(crate) fn new() -> Self {
        let exchange = Self::empty();
        exchange.make();
        exchange
    }

    /// With nothing in it.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Folders, and the FIFO last of all.
    pub(crate) fn make(&self) {
        for folder in [layout::REQUESTS, layout::ANSWERS, layout::INPUTS] {
            fs::create_dir(self.path(folder)).unwrap();
        }
        rustix::fs::mkfifoat(CWD, self.path(layout::WAKE), Mode::from_raw_mode(0o600)).unwrap();
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where a proxy's request of this id is.
    pub(crate) fn request_path(&self, proxy: u32, id: RequestId) -> PathBuf {
        let folder = self.path(layout::REQUESTS).join(layout::proxy_folder(proxy));
        fs::create_dir_all(&folder).unwrap();
        folder.join(layout::message(id))
    }

    /// Asks without a word to the handler: `details_json` is both text and JSON.
    pub(crate) fn put(&self, proxy: u32, details_json: &str) -> RequestId {
        self.put_request(
            proxy,
            &Request {
                details_text: details_json.to_owned(),
                details_json: Some(details_json.to_owned()),
                details_error: None,
                properties: Properties::default(),
            },
        )
    }

    pub(crate) fn put_request(&self, proxy: u32, request: &Request) -> RequestId {
        let id = request.id();
        let path = self.request_path(proxy, id);
        let temporary = path.with_file_name(layout::temporary(&layout::message(id), "test"));
        fs::write(&temporary, request.to_json().unwrap()).unwrap();
        fs::rename(temporary, path).unwrap();
        id
    }

    pub(crate) fn withdraw(&self, proxy: u32, id: RequestId) {
        fs::remove_file(self.request_path(proxy, id)).unwrap();
    }

    /// The write end of the FIFO, once a handler holds the other.
    pub(crate) fn bell(&self) -> File {
        wait_for("a handler at the FIFO", || {
            let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
            match OpenOptions::new().write(true).custom_flags(nonblocking).open(self.path(layout::WAKE)) {
                Ok(bell) => Some(bell),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => None,
                Err(error) => panic!("{error}"),
            }
        })
    }

    pub(crate) fn ring(&self, wake: Wake) {
        // A handler that starts opens the FIFO once to see whether it can, and then to stay.
        wait_for("a handler that stays at the FIFO", || match self.bell().write_all(&[wake.byte()]) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => None,
            rung => {
                rung.unwrap();
                Some(())
            }
        });
    }

    /// Asks, rings and waits for the answer: whatever was rung for before is done by then.
    pub(crate) fn ask(&self, proxy: u32, details_json: &str) -> (RequestId, Answer) {
        // Before there is anything to crash over: a handler that looks by itself may be dead when it is rung for.
        let mut bell = self.bell();
        let id = self.put(proxy, details_json);
        let _ = bell.write_all(&[Wake::Requests.byte()]);
        (id, self.answer(id))
    }

    /// One more turn of the handler's loop, from its look at the requests on: a request of its own comes and is answered.
    pub(crate) fn turn(&self) {
        static TURNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let turn = format!("turn {}", TURNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let (id, _) = self.ask(9, &details([&turn]));
        self.withdraw(9, id);
    }

    pub(crate) fn answer_path(&self, id: RequestId) -> PathBuf {
        self.path(layout::ANSWERS).join(layout::message(id))
    }

    /// The answer as it is now. A torn one is a failure.
    pub(crate) fn answer_now(&self, id: RequestId) -> Option<Answer> {
        let bytes = fs::read(self.answer_path(id)).ok()?;
        Some(Answer::parse(&bytes, id).unwrap_or_else(|error| panic!("a bad answer: {error}")))
    }

    pub(crate) fn answer(&self, id: RequestId) -> Answer {
        wait_for("an answer", || self.answer_now(id))
    }

    /// Waits for an answer that is a list of just these devices.
    pub(crate) fn list<const N: usize>(&self, id: RequestId, ids: [&str; N]) {
        wait_for("that list", || (self.answer_now(id)?.outcome == listed(ids)).then_some(()));
    }

    pub(crate) fn hello(&self) -> Hello {
        wait_for("the handler's announcement", || {
            let bytes = fs::read(self.path(layout::HELLO)).ok()?;
            Some(Hello::parse(&bytes).unwrap())
        })
    }

    /// What tells a rewritten file from one left alone.
    pub(crate) fn identity(&self, id: RequestId) -> (u64, i64, i64) {
        let metadata = fs::metadata(self.answer_path(id)).unwrap();
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
    }

    /// All names in the folder of answers.
    pub(crate) fn answer_names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(layout::ANSWERS))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// A list of devices that have an id and nothing else.
pub(crate) fn listed<const N: usize>(ids: [&str; N]) -> Outcome {
    Outcome::Devices(ids.into_iter().map(Device::new).collect())
}
