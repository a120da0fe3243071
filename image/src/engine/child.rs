//! What parent and child say to each other, and the child's side of it. Both sayings are JSON in anonymous memory whose
//! descriptors the child inherits: nothing of the environment, which may hold secrets, is on a disk or a command line.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::wall::{self, WallError};
use super::{Access, guest};

/// The hidden command by which the program starts itself again as a child.
pub const CHILD_COMMAND: &str = "engine-child";
/// Most bytes of either saying. An environment and arguments, at most what the kernel passes on.
const MAX_SAYING: u64 = 16 << 20;

/// What the child is to do.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    /// The parent: a child whose parent has died meanwhile has nothing to do.
    pub parent: i32,
    /// The root folder.
    pub root: PathBuf,
    /// The module, beneath the root.
    pub module: PathBuf,
    pub argv: Vec<String>,
    pub env: Vec<String>,
    pub volumes: Vec<Mount>,
    /// Bytes and pages of memory.
    pub memory: Option<(u64, u32)>,
    /// Whether compiled code is run.
    pub native: bool,
    /// Whether the root becomes the root of the process.
    pub walled: bool,
}

/// A volume whose mount point is there.
#[derive(Serialize, Deserialize)]
pub(super) struct Mount {
    pub host: PathBuf,
    pub guest: String,
    pub access: Access,
}

/// What came of it, unless the child died.
#[derive(Serialize, Deserialize)]
pub(super) enum Outcome {
    /// The module ended with this code.
    Exited(u32),
    /// The engine ended it.
    Trapped(String),
    /// The engine would not begin.
    Refused(String),
    /// There can be no wall.
    Unwalled(String),
    /// A volume cannot be bound.
    Volume { guest: String, reason: String },
    /// Something else.
    Failed(String),
}

/// The child's main: takes the request from one inherited descriptor, becomes the engine, leaves the outcome in another.
pub fn child(request: u32, outcome: u32) -> ExitCode {
    // What is said is read by a parent who also knows how we ended.
    match serve(request, outcome) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "wasm-image: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(request: u32, outcome: u32) -> io::Result<()> {
    let inherited =
        |number: u32| File::options().read(true).write(true).open(format!("/proc/self/fd/{number}"));
    let request: Request = hear(inherited(request)?)?;
    let mut answer = inherited(outcome)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().map(Pid::as_raw_pid) != Some(request.parent) {
        return Err(io::Error::other("the parent has gone"));
    }
    let outcome = perform(&request);
    serde_json::to_writer(&mut answer, &outcome)?;
    answer.flush()
}

fn perform(request: &Request) -> Outcome {
    if request.walled {
        match wall::enter(&request.root, &request.volumes) {
            Ok(()) => {}
            Err(WallError::NotAllowed(reason)) => return Outcome::Unwalled(reason),
            Err(WallError::Volume(guest, error)) => {
                return Outcome::Volume { guest, reason: error.to_string() };
            }
        }
    }
    match wall::limit(request.memory.map(|(bytes, _)| bytes)) {
        Ok(()) => guest::run(request),
        Err(error) => Outcome::Failed(format!("cannot set limits: {error}")),
    }
}

/// A saying that is known to be whole.
pub(super) fn hear<T: serde::de::DeserializeOwned>(file: File) -> io::Result<T> {
    let mut bytes = Vec::new();
    file.take(MAX_SAYING).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}
