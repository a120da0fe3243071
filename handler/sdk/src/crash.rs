//! What a panic over one job leaves behind, so that it costs the other jobs nothing.
//!
//! A panic ends the module, and the kubelet starts it again, waiting longer each time. If the same job were then tried
//! first again, one bad Configuration would keep every other from being served. So the panic hook writes down which job
//! it was (a file that readers of answers pass over), and the next life serves that job last, and after a wait that
//! doubles from crash to crash. An answer that the job had stays as it is; without one, people get to see the panic.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use akri_exchange::{Answer, Failure, RequestId};

use crate::directory::Directory;
use crate::files;

/// The wait after the first crash; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait: the kubelet's own.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Counting further would change nothing.
const MOST_CRASHES: u32 = 100;

thread_local! {
    /// The job that is being looked at, for the hook: a panic has no other way to know.
    static CURRENT: RefCell<Option<(RequestId, Directory)>> = const { RefCell::new(None) };
}

/// Sets the hook; done once, before the first job.
pub(crate) fn watch() {
    // Not std's `Once`, which is a kilobyte in every handler.
    static WATCHING: Mutex<bool> = Mutex::new(false);
    let mut watching = WATCHING.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::replace(&mut *watching, true) {
        return;
    }
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        if let Some((id, directory)) = CURRENT.take() {
            record(&directory, id, info);
        }
    }));
}

/// Runs the discovery function for one job, with the hook knowing which.
pub(crate) fn guarded<T>(directory: &Directory, id: RequestId, run: impl FnOnce() -> T) -> T {
    CURRENT.set(Some((id, directory.clone())));
    let result = run();
    CURRENT.set(None);
    result
}

/// How long to wait before a job that crashed is tried again; `None` for one that did not crash.
pub(crate) fn wait(directory: &Directory, id: RequestId) -> Option<Duration> {
    let crashes = crashes(directory, id)?;
    let doubled = FIRST_WAIT.saturating_mul(1 << crashes.saturating_sub(1).min(16));
    Some(doubled.min(LONGEST_WAIT))
}

/// The job went well, or is gone: no crash is held against it any more.
pub(crate) fn forgive(directory: &Directory, id: RequestId) {
    files::remove_crashes(directory, id);
}

fn record(directory: &Directory, id: RequestId, info: &PanicHookInfo<'_>) {
    let crashes = crashes(directory, id).unwrap_or(0).saturating_add(1);
    // This process is ending, and standard error already has the panic: what cannot be written is lost.
    let _ = files::write_crashes(directory, id, crashes);
    if !files::has_list(directory, id) {
        let what = payload(info).unwrap_or("no message");
        let mut failure = Failure::unavailable(format!("the handler crashed over this request: {what}"));
        failure.crashes = crashes;
        let _ = files::write_answer(directory, id, &Answer::failed(id, failure).to_json());
    }
}

/// How often in a row the job crashed.
fn crashes(directory: &Directory, id: RequestId) -> Option<u32> {
    let crashes = files::crashes(directory, id)?;
    Some(u32::try_from(crashes).unwrap_or(MOST_CRASHES).min(MOST_CRASHES))
}

/// The panic's message. (`PanicHookInfo::payload_as_str` is younger than rustc 1.85.)
fn payload<'a>(info: &'a PanicHookInfo<'_>) -> Option<&'a str> {
    let payload = info.payload();
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}
