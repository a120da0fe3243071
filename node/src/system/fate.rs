//! Whether a change happens at all: the place where tests end a run.

use std::fmt::Debug;
use std::io;

/// Asked before each change of a file.
pub trait Fate: Debug {
    /// Lets the change happen, or does not.
    ///
    /// # Errors
    /// In a test that plays a run which ends here.
    fn before(&self, change: &str) -> io::Result<()>;
}

/// Everything happens.
#[derive(Debug)]
pub struct Spared;

impl Fate for Spared {
    fn before(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

/// Ends this very process, as SIGKILL does, at the n-th change (from 1).
#[cfg(feature = "kill-points")]
#[derive(Debug)]
pub struct KilledAt {
    /// The change that does not happen any more.
    pub change: u64,
    /// Those that happened.
    pub seen: std::cell::Cell<u64>,
}

#[cfg(feature = "kill-points")]
impl Fate for KilledAt {
    fn before(&self, _: &str) -> io::Result<()> {
        self.seen.set(self.seen.get() + 1);
        if self.seen.get() == self.change {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        Ok(())
    }
}
