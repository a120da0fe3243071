//! Why something is refused, and saying so, but never more often than a person can read: a hostile handler must not fill the
//! log.

use std::io;
use std::time::{Duration, Instant};

use akri_exchange::Invalid;
use thiserror::Error;

use crate::list::Overfull;
use crate::policy::Forbidden;
use crate::room::Full;

/// Why a message of the handler is not taken.
#[derive(Debug, Error)]
pub(crate) enum Refused {
    /// Its file.
    #[error(transparent)]
    File(io::Error),
    /// A rule of the exchange.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The policy.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It is more than the agent takes.
    #[error("{devices} of its devices and one more are above {most} bytes, and the agent takes no more", most = crate::list::MAX_LIST_BYTES)]
    TooLarge {
        /// How many fit.
        devices: usize,
    },
    /// It is more than there is room for beside the lists that are there. It is looked at again when one of them is gone.
    #[error(transparent)]
    Room(Full),
}

impl Refused {
    /// The word for metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Refused::File(_) => "file",
            Refused::Invalid(invalid) => invalid.reason(),
            Refused::Forbidden(_) => "policy",
            Refused::TooLarge { .. } => "too_large",
            Refused::Room(_) => "memory",
        }
    }
}

impl From<Overfull> for Refused {
    fn from(overfull: Overfull) -> Self {
        match overfull {
            Overfull::List { devices } => Refused::TooLarge { devices },
            Overfull::Room(full) => Refused::Room(full),
        }
    }
}

/// Refusals that are logged within one [`SPAN`]; further ones are only counted.
const PER_SPAN: u32 = 10;
/// The span that they are counted over.
const SPAN: Duration = Duration::from_secs(10);

/// Bounds the log lines about refusals.
#[derive(Debug)]
pub(crate) struct Refusals {
    since: Instant,
    said: u32,
    kept_quiet: u64,
}

impl Refusals {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, said: 0, kept_quiet: 0 }
    }

    /// Whether to log one more, and how many were kept quiet before it.
    pub(crate) fn say(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= SPAN {
            (self.since, self.said) = (now, 0);
        }
        if self.said >= PER_SPAN {
            self.kept_quiet += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.kept_quiet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_in_few_lines() {
        let start = Instant::now();
        let mut refusals = Refusals::new(start);
        let said = (0..1000).filter(|_| refusals.say(start).is_some()).count();
        assert_eq!(said, 10);
        assert_eq!(refusals.say(start + SPAN), Some(990));
        assert_eq!(refusals.say(start + SPAN), Some(0));
    }
}
