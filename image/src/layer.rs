//! The one layer of an image: a tar with one file, compressed, the same bytes for the same file always.

use std::io::{self, Read, Write};

use flate2::{Compression, GzBuilder, write::GzEncoder};

use crate::digest::{Digest, HashingWriter};
use crate::timestamp::Timestamp;

/// How hard gzip tries: an image is built once and pulled by every node.
pub(crate) const GZIP_LEVEL: u32 = 9;
/// "Unknown" in the gzip header's field for the operating system, so that the machine leaves no trace.
/// <https://www.rfc-editor.org/rfc/rfc1952#page-8>
const GZIP_OS_UNKNOWN: u8 = 255;

/// The file of a layer: root's, as nothing in a container should be able to change its program.
pub(crate) struct LayerFile<'a> {
    /// Its name in the image's root.
    pub name: &'a str,
    /// Permission bits.
    pub mode: u32,
    /// Its time in the tar.
    pub modified: Timestamp,
    /// Its length in bytes.
    pub size: u64,
}

impl LayerFile<'_> {
    /// Writes the compressed layer to `output`; returns the digest of the uncompressed tar, the `diff_id`.
    /// Fails if `content` is not exactly as long as announced: someone changed the file meanwhile.
    pub(crate) fn write(&self, content: impl Read, output: impl Write) -> io::Result<Digest> {
        let mut header = tar::Header::new_gnu();
        header.set_path(self.name)?;
        header.set_mode(self.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.modified.seconds());
        header.set_size(self.size);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        let mut archive = tar::Builder::new(HashingWriter::new(gzip(output)));
        let mut content = Exactly { inner: content, left: self.size };
        archive.append(&header, &mut content)?;
        content.expect_end()?;
        let (gzip, diff_id, _) = archive.into_inner()?.finish();
        gzip.finish()?.flush()?;
        Ok(diff_id)
    }
}

/// Writes a file of `size` bytes as it is. Fails if it has another length: someone changed it meanwhile.
pub(crate) fn write_bare(
    content: impl Read,
    size: u64,
    output: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    let mut content = Exactly { inner: content, left: size };
    io::copy(&mut content, output)?;
    content.expect_end()
}

/// A gzip encoder whose header says nothing about when and where.
pub(crate) fn gzip<W: Write>(output: W) -> GzEncoder<W> {
    GzBuilder::new().mtime(0).operating_system(GZIP_OS_UNKNOWN).write(output, Compression::new(GZIP_LEVEL))
}

/// A reader that must yield `left` bytes, no more, no fewer.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Exactly<R> {
    fn expect_end(&mut self) -> io::Result<()> {
        match self.inner.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(io::Error::other("the file grew while it was read: try again")),
        }
    }
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(io::Error::other("the file shrank while it was read: try again"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(size: u64, content: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = LayerFile { name: "x.wasm", mode: 0o644, modified: Timestamp::default(), size };
        file.write(content, &mut bytes).map(|_| bytes)
    }

    #[test]
    fn gzip_header_is_neutral() {
        let bytes = layer(1, b"x").unwrap();
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
    }

    #[test]
    fn a_changing_file_is_an_error() {
        assert!(layer(2, b"xy").is_ok());
        assert!(layer(1, b"xy").is_err());
        assert!(layer(3, b"xy").is_err());
        assert!(write_bare(&b"xy"[..], 2, &mut Vec::new()).is_ok());
        assert!(write_bare(&b"xy"[..], 1, &mut Vec::new()).is_err());
        assert!(write_bare(&b"xy"[..], 3, &mut Vec::new()).is_err());
    }
}
