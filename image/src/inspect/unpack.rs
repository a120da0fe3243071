//! The `diff_id` of a layer: the digest of what is left when the compression is taken away.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

use crate::digest::{Algorithm, Digest, Hasher};
use crate::spec;

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
}

/// A layer that was decompressed to its end or to the limit.
pub(super) enum Unpacked {
    Whole { diff_id: Digest, size: u64 },
    TooLarge,
}

impl Compression {
    /// `None` for media types that cannot be looked into here.
    pub(super) fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            spec::MEDIA_LAYER => Some(Self::None),
            spec::MEDIA_LAYER_GZIP | spec::MEDIA_DOCKER_LAYER => Some(Self::Gzip),
            _ => None,
        }
    }

    /// Decompresses piece by piece; nothing is kept but the digest.
    pub(super) fn unpack(self, input: impl Read, algorithm: Algorithm, limit: u64) -> io::Result<Unpacked> {
        let input = io::BufReader::with_capacity(64 * 1024, input);
        let (diff_id, size) = match self {
            Self::None => hash(input, algorithm, limit.saturating_add(1))?,
            Self::Gzip => hash(MultiGzDecoder::new(input), algorithm, limit.saturating_add(1))?,
        };
        Ok(if size > limit { Unpacked::TooLarge } else { Unpacked::Whole { diff_id, size } })
    }
}

/// Reads to the end or up to `limit` bytes; the digest and count of what was read.
pub(crate) fn hash(input: impl Read, algorithm: Algorithm, limit: u64) -> io::Result<(Digest, u64)> {
    let mut input = input.take(limit);
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
