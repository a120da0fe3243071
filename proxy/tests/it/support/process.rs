//! Programs as processes of their own: what has to be killed, or seen from outside.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use super::{Place, eventually};

/// A process that does not outlive its test, and what it prints.
pub struct Process {
    child: Child,
    pub said: Arc<Mutex<String>>,
}

/// The program under test, with nothing of our environment that could reach into it; `PROXY_PROGRAM` names another build of it.
pub fn program(place: &Place) -> Command {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_akri-proxy"));
    let mut command = Command::new(path("PROXY_PROGRAM").unwrap_or(own));
    command.env_clear();
    command.env("DISCOVERY_HANDLERS_DIRECTORY", place.akri()).env("EXCHANGE_DIRECTORY", place.exchange());
    // As musl does, with which images are built: what was large goes back to the kernel when it is freed. Of itself glibc keeps
    // ever more of it, so that tests of memory would measure glibc.
    command.env("MALLOC_MMAP_THRESHOLD_", "131072").env("MALLOC_TRIM_THRESHOLD_", "131072");
    command.env("HEALTH_ADDRESS", "off").env("METRICS_ADDRESS", "off").env("REPEAT_MILLISECONDS", "50");
    command
}

/// The program of the debugEcho handler under a wasm engine, or `None` where there is none.
pub fn native_handler(place: &Place) -> Option<Command> {
    let (module, engine) = (path("WASM_HANDLER")?, path("WASMEDGE")?);
    let mut command = Command::new(engine);
    command.arg("--dir").arg(format!("/:{}", place.exchange().parent().unwrap().display()));
    command.args(["--env", "EXCHANGE_DIRECTORY=/x"]).arg(module);
    Some(command)
}

fn path(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.exists())
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        for pipe in [
            Box::new(child.stdout.take().unwrap()) as Box<dyn std::io::Read + Send>,
            Box::new(child.stderr.take().unwrap()),
        ] {
            let said = said.clone();
            std::thread::spawn(move || {
                let lines = std::io::BufRead::lines(std::io::BufReader::new(pipe));
                lines.map_while(Result::ok).for_each(|line| *said.lock().unwrap() += &(line + "\n"));
            });
        }
        Self { child, said }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has printed a text.
    pub async fn says(&self, text: &str) {
        eventually(&format!("{text:?} in {:?}", self.said.lock().unwrap()), || {
            self.said.lock().unwrap().contains(text)
        })
        .await;
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        let started = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                started.elapsed() < super::PATIENCE,
                "does not end; it said {}",
                self.said.lock().unwrap()
            );
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// A figure of its memory, in bytes: `VmRSS`, what is resident now, or `VmHWM`, the most that was.
    pub fn memory(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
        let kilobytes = line.trim_start_matches(':').trim().trim_end_matches("kB").trim();
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// How often the process went to sleep of its own will so far.
    pub fn sleeps(&self) -> u64 {
        let status =
            std::fs::read_to_string(Path::new("/proc").join(self.id().to_string()).join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
