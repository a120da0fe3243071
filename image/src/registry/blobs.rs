//! What every stream of a blob has to pass: its length and digest.

use bytes::Bytes;

use crate::digest::{Digest, Hasher};

/// Counts and hashes a blob's bytes. The last ones are let through only when all of them were right, so that whoever
/// takes them never holds a whole wrong blob.
pub(crate) struct Verifier {
    expected: Digest,
    size: u64,
    hasher: Option<Hasher>,
    count: u64,
}

/// How a blob differs from its descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    Digest(Digest),
    Longer,
    Shorter(u64),
}

impl Verifier {
    pub(crate) fn new(expected: &Digest, size: u64) -> Self {
        let hasher = Some(Hasher::new(expected.algorithm()));
        Self { expected: expected.clone(), size, hasher, count: 0 }
    }

    /// Takes in the next bytes; an error if they are too many, or the last and wrong.
    pub(crate) fn pass(&mut self, bytes: &Bytes) -> Result<(), Mismatch> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.count += bytes.len() as u64;
        if self.count > self.size {
            return Err(Mismatch::Longer);
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        if self.count == self.size { self.compare() } else { Ok(()) }
    }

    /// The stream has ended.
    pub(crate) fn end(&mut self) -> Result<(), Mismatch> {
        if self.count < self.size {
            return Err(Mismatch::Shorter(self.count));
        }
        // An empty blob has no last bytes.
        self.compare()
    }

    fn compare(&mut self) -> Result<(), Mismatch> {
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.expected => Err(Mismatch::Digest(found)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(content: &str, size: u64, pieces: &[&'static str]) -> Result<(), Mismatch> {
        let mut verifier = Verifier::new(&Digest::of(content.as_bytes()), size);
        pieces.iter().try_for_each(|piece| verifier.pass(&Bytes::from_static(piece.as_bytes())))?;
        verifier.end()
    }

    #[test]
    fn tells_right_from_wrong() {
        assert_eq!(judge("abc", 3, &["a", "", "bc"]), Ok(()));
        assert_eq!(judge("", 0, &[]), Ok(()));
        assert_eq!(judge("abc", 3, &["abc", "d"]), Err(Mismatch::Longer));
        assert_eq!(judge("abc", 3, &["ab"]), Err(Mismatch::Shorter(2)));
        assert_eq!(judge("abc", 3, &["abx"]), Err(Mismatch::Digest(Digest::of(b"abx"))));
        assert!(judge("abc", 0, &[]).is_err());
    }
}
