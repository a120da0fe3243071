//! The parent's side: starts the child, waits for its end, its time limit or a signal to us, and ends it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::fs::{MemfdFlags, memfd_create};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::child::{self, CHILD_COMMAND, Outcome, Request};
use super::{Ending, RunError, TimeLimit};

/// This very program, also when its file was replaced meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// What the child keeps of our environment: where its libraries are. The module's environment is in the request.
const KEPT: &str = "LD_LIBRARY_PATH";

/// What came of a child.
pub(super) enum Came {
    Outcome(Outcome),
    Ended(Ending),
}

/// Runs `request` in a child, for as long as it may take.
pub(super) fn supervise(request: &Request, limit: Option<TimeLimit>) -> Result<Came, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(RunError::io("wait for events"))?.block_on(watch(request, limit))
}

async fn watch(request: &Request, limit: Option<TimeLimit>) -> Result<Came, RunError> {
    let asked = said(&serde_json::to_vec(request).map_err(RunError::io("say what to run"))?)?;
    let answered = said(&[])?;
    let cannot = || RunError::io("listen to signals");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot())?;
    let mut hangup = signal(SignalKind::hangup()).map_err(cannot())?;
    let mut child = start(&asked, &answered)?;
    let time_is_over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit.duration()).await,
            None => std::future::pending().await,
        }
    };
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(|kind| kind.as_raw_value());
    let ending = tokio::select! {
        status = child.wait() => {
            return came(status.map_err(RunError::io("wait for the engine"))?, answered);
        }
        () = time_is_over => limit.map(Ending::TimedOut),
        _ = interrupt.recv() => Some(Ending::Interrupted(kinds[0])),
        _ = terminate.recv() => Some(Ending::Interrupted(kinds[1])),
        _ = hangup.recv() => Some(Ending::Interrupted(kinds[2])),
    };
    // No module can do anything about this signal, nor the code that one was compiled to.
    child.kill().await.map_err(RunError::io("end the engine"))?;
    Ok(Came::Ended(ending.expect("only a limit that is there runs out")))
}

fn start(asked: &OwnedFd, answered: &OwnedFd) -> Result<Child, RunError> {
    let mut command = Command::new(OWN_PROGRAM);
    command.arg0("wasm-image").arg(CHILD_COMMAND);
    command.arg(asked.as_raw_fd().to_string()).arg(answered.as_raw_fd().to_string());
    command.env_clear().kill_on_drop(true);
    if let Some(path) = std::env::var_os(KEPT) {
        command.env::<&OsStr, _>(KEPT.as_ref(), path);
    }
    command.spawn().map_err(RunError::io("start the engine"))
}

/// How the child ended: what it said, or the signal that was its end.
fn came(status: ExitStatus, answered: OwnedFd) -> Result<Came, RunError> {
    if let Some(signal) = status.signal() {
        return Ok(Came::Ended(Ending::Killed(signal)));
    }
    let mut answer = File::from(answered);
    answer.rewind().map_err(RunError::io("hear of the engine"))?;
    match child::hear(answer) {
        Ok(outcome) => Ok(Came::Outcome(outcome)),
        Err(_) => Err(RunError::Child(format!("it ended without a word ({status})"))),
    }
}

/// Anonymous memory that a child inherits.
fn said(bytes: &[u8]) -> Result<OwnedFd, RunError> {
    let memory = memfd_create("wasm-image", MemfdFlags::empty()).map_err(RunError::io("take memory"))?;
    let mut file = File::from(memory);
    file.write_all(bytes).and_then(|()| file.rewind()).map_err(RunError::io("write to memory"))?;
    Ok(file.into())
}
