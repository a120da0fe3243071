//! Holding blobs against their descriptors: digest, size, `diff_id`, and no more bytes than the limits allow.

use std::io::Read;

use super::Problem;
use super::unpack::{Compression, Unpacked, hash};
use super::walk::Walk;
use super::wire::Target;
use crate::digest::Digest;

impl Walk<'_> {
    /// Holds an intact layer against its `diff_id`, which is returned if right.
    pub(super) fn diff_id(&mut self, at: &str, target: &Target, expected: &str) -> Option<Digest> {
        let expected: Digest = match expected.parse() {
            Ok(expected) => expected,
            Err(error) => {
                self.find(at, Problem::Digest(error));
                return None;
            }
        };
        let Some(compression) = Compression::of_media_type(&target.media_type) else {
            self.find(at, Problem::Unverified(target.media_type.clone()));
            return None;
        };
        let key = (target.digest.clone(), expected.clone());
        let found = match self.unpacked.get(&key) {
            Some(found) => found.clone(),
            None => {
                let found = self.unpack(at, target, compression, &expected);
                self.unpacked.insert(key, found.clone());
                found
            }
        };
        match found {
            Some(found) if found == expected => Some(found),
            Some(found) => {
                self.find(at, Problem::DiffId { expected, found });
                None
            }
            None => None,
        }
    }

    fn unpack(&mut self, at: &str, target: &Target, how: Compression, expected: &Digest) -> Option<Digest> {
        let left = self.unpacked_left;
        let outcome = self.source.member(&target.digest.blob_path()).and_then(|member| {
            how.unpack(member.reader, expected.algorithm(), left).map_err(Problem::Decompress)
        });
        let problem = match outcome {
            Ok(Unpacked::Whole { diff_id, size }) => {
                self.unpacked_left -= size;
                return Some(diff_id);
            }
            Ok(Unpacked::TooLarge) => {
                self.unpacked_left = 0;
                Problem::TooMany { what: "bytes of decompressed layers", limit: self.limits.unpacked }
            }
            Err(problem) => problem,
        };
        self.find(at, problem);
        None
    }

    /// Verifies a blob of any length.
    pub(super) fn blob(&mut self, at: &str, target: &Target) {
        let found = match self.blobs.get(&target.digest) {
            Some(found) => *found,
            None => {
                let path = target.digest.blob_path();
                let outcome = self.source.member(&path).and_then(|member| {
                    hash(member.reader, target.digest.algorithm(), member.size)
                        .map_err(|source| Problem::Unreadable { path: path.clone(), source })
                });
                self.judge(at, target, outcome)
            }
        };
        self.compare_size(at, target, found);
    }

    /// Verifies a document and returns its bytes if they are what the digest says.
    pub(super) fn document(&mut self, at: &str, target: &Target) -> Option<Vec<u8>> {
        let path = target.digest.blob_path();
        let limit = self.limits.document;
        let member = match self.source.member(&path) {
            Ok(member) => member,
            Err(problem) => {
                self.find(at, problem);
                self.blobs.insert(target.digest.clone(), None);
                return None;
            }
        };
        if member.size.max(target.size) > limit {
            self.find(at, Problem::TooLarge { size: member.size.max(target.size), limit });
            self.blob(at, target);
            return None;
        }
        if member.size > self.documents_left {
            let limit = self.limits.documents;
            self.find(at, Problem::TooMany { what: "bytes of documents", limit });
            self.documents_left = 0;
            return None;
        }
        self.documents_left -= member.size;
        let mut kept = None;
        let outcome = read(member.reader, &path, limit).and_then(|bytes| {
            let found = hash(&bytes[..], target.digest.algorithm(), u64::MAX);
            kept = Some(bytes);
            found.map_err(|source| Problem::Unreadable { path: path.clone(), source })
        });
        let found = match self.blobs.get(&target.digest) {
            // Named before: what was wrong has been said.
            Some(found) => *found,
            None => self.judge(at, target, outcome),
        };
        self.compare_size(at, target, found);
        // Also where only the size is wrong: the content is the right one.
        found.and(kept)
    }

    /// Remembers a blob's true length if it is intact, and says so if not.
    fn judge(&mut self, at: &str, target: &Target, outcome: Result<(Digest, u64), Problem>) -> Option<u64> {
        let verdict = match outcome {
            Ok((found, size)) if found == target.digest => Ok(size),
            Ok((found, size)) => {
                self.compare_size(at, target, Some(size));
                Err(Problem::Content { expected: target.digest.clone(), found })
            }
            Err(problem) => Err(problem),
        };
        let size = verdict.map_err(|problem| self.find(at, problem)).ok();
        self.blobs.insert(target.digest.clone(), size);
        size
    }

    fn compare_size(&mut self, at: &str, target: &Target, found: Option<u64>) {
        if let Some(found) = found.filter(|found| *found != target.size) {
            let problem = Problem::Size { digest: target.digest.clone(), expected: target.size, found };
            self.find(at, problem);
        }
    }
}

/// All of a member that is known to be small, but not believed to be.
pub(crate) fn read(reader: impl Read, path: &str, limit: u64) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    match reader.take(limit).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(source) => Err(Problem::Unreadable { path: path.to_owned(), source }),
    }
}
