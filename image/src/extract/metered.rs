//! What comes out of a decompressor: counted, hashed, and no more than allowed.

use std::io::{self, Read};

use crate::digest::{Algorithm, Digest, Hasher};

/// A reader that hashes what passes, and fails when more than `left` bytes do.
pub(super) struct Metered<R> {
    inner: R,
    hasher: Hasher,
    left: u64,
    over: bool,
}

impl<R: Read> Metered<R> {
    pub(super) fn new(inner: R, algorithm: Algorithm, most: u64) -> Self {
        Self { inner, hasher: Hasher::new(algorithm), left: most, over: false }
    }

    /// Reads to the end.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(|_| ())
    }

    /// Whether there was more than allowed.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// How much more would have been allowed.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// The digest of what passed.
    pub(super) fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                self.over = true;
                return Err(io::Error::other("over the limit"));
            }
        }
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_up_to_the_limit_and_fails_beyond() {
        let mut exact = Metered::new(&b"abc"[..], Algorithm::Sha256, 3);
        exact.drain().unwrap();
        assert!(!exact.is_over() && exact.left() == 0);
        assert_eq!(exact.finish(), Digest::of(b"abc"));
        let mut over = Metered::new(&b"abcd"[..], Algorithm::Sha256, 3);
        assert!(over.drain().is_err() && over.is_over());
    }
}
