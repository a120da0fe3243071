//! Who is told how far a transfer is. Knows nothing of terminals.

use std::time::Duration;

use crate::digest::Digest;
use crate::registry::RegistryError;
use crate::transfer::BlobReport;

/// Hears of everything that takes time. All of it may be ignored.
pub trait Progress: Send + Sync {
    /// A blob of `size` bytes begins to move.
    fn begins(&self, _digest: &Digest, _size: u64) {}
    /// So many of its bytes have moved. May go back, when it has to be sent again.
    fn moved(&self, _digest: &Digest, _position: u64) {}
    /// A blob is where it should be.
    fn ends(&self, _report: &BlobReport) {}
    /// Something failed that is tried again after `wait`.
    fn waits(&self, _reason: &RegistryError, _wait: Duration) {}
    /// Something that a person should know.
    fn note(&self, _text: &str) {}
}

/// Ignores it all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {}
