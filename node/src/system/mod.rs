//! The one door to the node: its files, its programs, its containerd. Everything that is found out and everything that
//! is changed goes through a [`System`], so that tests can play a node and end it at each change.

mod fate;
mod live;
mod tree;

use std::io;
use std::path::Path;

#[cfg(feature = "kill-points")]
pub use fate::KilledAt;
pub use fate::{Fate, Spared};
pub use live::Live;
pub use tree::{Attributes, Tree, trial_name};

use crate::cri::{CriError, CriState};
use crate::invocation::{Invocation, Ran};

/// A node. Paths are the node's own, absolute, and never lead out of its root.
pub trait System {
    /// The files.
    fn tree(&self) -> &Tree;

    /// Whether this is the running system, and not a root folder that something will boot from later.
    fn is_live(&self) -> bool;

    /// Runs a program to its end.
    ///
    /// # Errors
    /// Where it cannot be started, or does not end in time.
    fn run(&self, invocation: &Invocation) -> io::Result<Ran>;

    /// Asks containerd for its state, waiting a bounded moment where it is about to start.
    ///
    /// # Errors
    /// Where nobody answers, or something else than a CRI.
    fn cri(&self, socket: &Path, patience: Patience) -> Result<CriState, CriError>;
}

/// How long to wait for containerd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It answers now, or it is down.
    None,
    /// It was just started.
    Starting,
}
