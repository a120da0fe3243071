//! Reading a layout's documents and blobs, each held against its descriptor. Nothing that is wrong comes through.

use std::cell::Cell;
use std::io::{self, Read};

use super::ExtractError;
use crate::digest::Hasher;
use crate::inspect::source::Source;
use crate::inspect::wire::{Descriptor, Target};
use crate::inspect::{Limits, Problem};

/// An opened layout, and how much of it may still be read.
pub(crate) struct Store<'a> {
    pub source: &'a Source,
    pub limits: &'a Limits,
    documents_left: Cell<u64>,
    /// Bytes of layers that may still be decompressed.
    pub unpacked_left: Cell<u64>,
}

impl<'a> Store<'a> {
    pub(crate) fn new(source: &'a Source, limits: &'a Limits) -> Self {
        Self {
            source,
            limits,
            documents_left: Cell::new(limits.documents),
            unpacked_left: Cell::new(limits.unpacked),
        }
    }

    /// A file of the layout that is no blob.
    pub(crate) fn file(&self, path: &str) -> Result<Vec<u8>, ExtractError> {
        let bad = |problem| ExtractError::unsound(path, problem);
        let member = self.source.member(path).map_err(bad)?;
        self.afford(member.size).map_err(bad)?;
        let mut bytes = Vec::new();
        member
            .reader
            .take(self.limits.document)
            .read_to_end(&mut bytes)
            .map_err(|source| bad(Problem::Unreadable { path: path.to_owned(), source }))?;
        Ok(bytes)
    }

    /// A document's bytes, verified.
    pub(crate) fn document(&self, at: &str, target: &Target) -> Result<Vec<u8>, ExtractError> {
        self.afford(target.size).map_err(|problem| ExtractError::unsound(at, problem))?;
        let mut blob = self.blob(at, target)?;
        let mut bytes = Vec::new();
        // No more than the descriptor says, which is within the limit.
        blob.read_to_end(&mut bytes).map_err(|source| blob.unreadable(source))?;
        blob.finish()?;
        Ok(bytes)
    }

    /// A blob as a stream. It is verified by [`Blob::finish`], and until then not to be believed.
    pub(crate) fn blob(&self, at: &str, target: &Target) -> Result<Blob<'_>, ExtractError> {
        let path = target.digest.blob_path();
        let member = self.source.member(&path).map_err(|problem| ExtractError::unsound(at, problem))?;
        if member.size != target.size {
            let problem =
                Problem::Size { digest: target.digest.clone(), expected: target.size, found: member.size };
            return Err(ExtractError::unsound(at, problem));
        }
        Ok(Blob {
            inner: member.reader.take(target.size),
            hasher: Hasher::new(target.digest.algorithm()),
            at: at.to_owned(),
            target: target.clone(),
        })
    }

    fn afford(&self, size: u64) -> Result<(), Problem> {
        if size > self.limits.document {
            return Err(Problem::TooLarge { size, limit: self.limits.document });
        }
        match self.documents_left.get().checked_sub(size) {
            Some(left) => {
                self.documents_left.set(left);
                Ok(())
            }
            None => Err(Problem::TooMany { what: "bytes of documents", limit: self.limits.documents }),
        }
    }
}

/// A descriptor that was read, and its blob as it can be looked for.
pub(crate) fn descriptor(at: &str, value: serde_json::Value) -> Result<(Descriptor, Target), ExtractError> {
    let descriptor: Descriptor = serde_json::from_value(value)
        .map_err(|source| ExtractError::unsound(at, Problem::Malformed { what: "descriptor", source }))?;
    let digest = descriptor.digest.parse().map_err(|error| ExtractError::bad_digest(at, error))?;
    let target = Target { digest, size: descriptor.size, media_type: descriptor.media_type.clone() };
    Ok((descriptor, target))
}

/// A blob that is being read and hashed.
pub(crate) struct Blob<'a> {
    inner: io::Take<Box<dyn Read + 'a>>,
    hasher: Hasher,
    at: String,
    target: Target,
}

impl Blob<'_> {
    /// Reads what is left and holds the whole against the descriptor.
    pub(crate) fn finish(mut self) -> Result<(), ExtractError> {
        io::copy(&mut self, &mut io::sink()).map_err(|source| self.unreadable(source))?;
        let left = self.inner.limit();
        let (digest, size) = (self.target.digest, self.target.size);
        if left > 0 {
            let problem = Problem::Size { digest, expected: size, found: size - left };
            return Err(ExtractError::unsound(&self.at, problem));
        }
        let found = self.hasher.finish();
        if found == digest {
            Ok(())
        } else {
            Err(ExtractError::unsound(&self.at, Problem::Content { expected: digest, found }))
        }
    }

    fn unreadable(&self, source: io::Error) -> ExtractError {
        let problem = Problem::Unreadable { path: self.target.digest.blob_path(), source };
        ExtractError::unsound(&self.at, problem)
    }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
