//! A random number, where none has to be kept secret.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Another one at each call: std's keys for hash maps are made so.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
