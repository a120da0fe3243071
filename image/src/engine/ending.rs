//! How a run ended, which exit code says so, and what a pod would have reported.

use std::fmt;

use super::TimeLimit;

/// What an exit code above 255 becomes: a process has eight bits for it, and 256 must not look like 0.
const TOO_LARGE: u8 = 255;
/// What ended by a signal, or as if by one, exits with this plus the signal's number, as shells say it.
const SIGNAL_BASE: u8 = 128;
/// A trap is the module's abort.
const SIGABRT: u8 = 6;
/// What the time limit gives, as of coreutils' `timeout`.
const TIMED_OUT: u8 = 124;
/// What crun with WasmEdge reports for a trap.
const CRUN_TRAP: u8 = 1;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The module ended by itself, with this code.
    Exited(u32),
    /// The engine ended it: it panicked, or did what no module may do.
    Trapped(String),
    /// Its time was over.
    TimedOut(TimeLimit),
    /// The process with the engine in it was ended by this signal.
    Killed(i32),
    /// We were told to stop by this signal.
    Interrupted(i32),
}

impl Ending {
    /// The exit code that says so.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exited(code) => u8::try_from(*code).unwrap_or(TOO_LARGE),
            Self::Trapped(_) => SIGNAL_BASE + SIGABRT,
            Self::TimedOut(_) => TIMED_OUT,
            Self::Killed(signal) | Self::Interrupted(signal) => {
                u8::try_from(*signal).map_or(TOO_LARGE, |signal| SIGNAL_BASE.saturating_add(signal))
            }
        }
    }

    /// What a pod's status would say under crun with WasmEdge, which loses exit codes.
    pub fn under_crun(&self) -> u8 {
        match self {
            Self::Exited(_) => 0,
            Self::Trapped(_) => CRUN_TRAP,
            _ => self.exit_code(),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "the module ended with exit code {code}"),
            Self::Trapped(reason) => write!(f, "the module trapped: {}", reason.escape_debug()),
            Self::TimedOut(limit) => write!(f, "the module was ended after {limit}"),
            Self::Killed(signal) => write!(f, "the engine was ended by signal {signal}"),
            Self::Interrupted(signal) => write!(f, "stopped by signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let limit: TimeLimit = "1s".parse().unwrap();
        for (ending, code, crun) in [
            (Ending::Exited(0), 0, 0),
            (Ending::Exited(3), 3, 0),
            (Ending::Exited(256), 255, 0),
            (Ending::Trapped("unreachable".to_owned()), 134, 1),
            (Ending::TimedOut(limit), 124, 124),
            (Ending::Killed(9), 137, 137),
            (Ending::Interrupted(2), 130, 130),
        ] {
            assert_eq!((ending.exit_code(), ending.under_crun()), (code, crun), "{ending}");
        }
    }
}
