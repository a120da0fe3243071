//! A handler that runs in a thread of the test.

use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use akri_exchange::{Wake, layout};
use akri_handler_sdk::{Context, Device, Failure, Handler};

use crate::exchange::{Exchange, wait_for};

/// What the tests' handlers read.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Details {
    pub(crate) descriptions: Vec<String>,
}

/// A running handler, and how often it was asked for what.
pub(crate) struct Running {
    thread: JoinHandle<std::io::Result<()>>,
    calls: Arc<Mutex<Vec<String>>>,
    /// The thread's folder below /proc.
    proc: String,
}

/// The name that all handlers here have.
pub(crate) const NAME: &str = "test";

/// A device for each description, as debugEcho has it.
pub(crate) fn echo(details: &Details, _: &Context) -> Result<Vec<Device>, Failure> {
    Ok(details.descriptions.iter().map(Device::new).collect())
}

/// Starts the plain handler.
pub(crate) fn start(exchange: &Exchange) -> Running {
    start_as(exchange, Handler::new(NAME), echo)
}

/// Starts a handler. Each look at a job is noted by its descriptions, joined by commas.
pub(crate) fn start_as(
    exchange: &Exchange,
    handler: Handler,
    mut discover: impl FnMut(&Details, &Context) -> Result<Vec<Device>, Failure> + Send + 'static,
) -> Running {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (noted, root) = (calls.clone(), exchange.root());
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        sender.send(fs::read_link("/proc/thread-self").unwrap()).unwrap();
        handler.run_in(&root, move |details: &Details, context: &Context| {
            noted.lock().unwrap().push(details.descriptions.join(","));
            discover(details, context)
        })
    });
    let proc = format!("/proc/{}", receiver.recv().unwrap().display());
    Running { thread, calls, proc }
}

impl Running {
    /// How often a job was looked at.
    pub(crate) fn calls(&self, descriptions: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| *call == descriptions).count()
    }

    /// Waits until a job was looked at at least so often.
    pub(crate) fn called(&self, descriptions: &str, times: usize) {
        wait_for("a look at a job", || (self.calls(descriptions) >= times).then_some(()));
    }

    /// All looks in their order.
    pub(crate) fn all_calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// The thread sleeps: it waits for the bell.
    pub(crate) fn asleep(&self) {
        wait_for("the handler to sleep", || self.status("State:")?.starts_with('S').then_some(()));
    }

    /// How often the thread gave the processor away and came back.
    pub(crate) fn switches(&self) -> u64 {
        self.status("voluntary_ctxt_switches:").unwrap().parse().unwrap()
    }

    fn status(&self, field: &str) -> Option<String> {
        let status = fs::read_to_string(format!("{}/status", self.proc)).unwrap();
        status.lines().find_map(|line| Some(line.strip_prefix(field)?.trim().to_owned()))
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(self, exchange: &Exchange) {
        // Before there is anything to stop for: a handler that looks by itself may be gone when it is rung for.
        let mut bell = exchange.bell();
        fs::write(exchange.path(layout::STOP), "").unwrap();
        let _ = bell.write_all(&[Wake::Requests.byte()]);
        self.thread.join().unwrap().unwrap();
    }

    /// Waits for it to end by a panic.
    pub(crate) fn crashed(self) {
        wait_for("the crash", || self.thread.is_finished().then_some(()));
        assert!(self.thread.join().is_err(), "a panic");
    }

    /// Waits for it to end by an error.
    pub(crate) fn failed(self) -> std::io::Error {
        wait_for("the end", || self.thread.is_finished().then_some(()));
        self.thread.join().unwrap().unwrap_err()
    }
}

/// A handler with a re-scan interval.
pub(crate) fn rescanning(interval: Duration) -> Handler {
    Handler::new(NAME).rescan(interval)
}
