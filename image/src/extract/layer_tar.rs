//! The tar of a layer as a stream: one header in memory at a time, whatever the layer says. Follows nothing, writes
//! nothing, and refuses names that point outside.

use std::io::{self, Read};

use tar::{EntryType, Header};

use crate::inspect::tar_index::{
    BLOCK, MAX_EXTENSION, checksum_is_right, is_extension, path_of, pax_records,
};

/// Begins the name of the record that a sparse file has in an extended header.
/// <https://www.gnu.org/software/tar/manual/html_node/PAX-1.html>
const SPARSE_RECORD: &[u8] = b"GNU.sparse.";

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// A link, a device and the like, in words.
    Other(&'static str),
}

/// A member: its name without empty words and dots, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub names: Vec<String>,
    pub kind: Kind,
    pub size: u64,
}

/// Why the tar cannot be read on.
#[derive(Debug)]
pub(super) enum TarError {
    Io(io::Error),
    Outside(String),
    TooMany,
}

impl From<io::Error> for TarError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A tar that is being read.
pub(super) struct LayerTar<R> {
    input: R,
    /// Bytes of the current member's content that were not read yet.
    content: u64,
    /// Bytes that fill its last block.
    padding: u64,
    members_left: usize,
}

/// What extended headers say about the member after them.
#[derive(Default)]
struct Extension {
    path: Option<String>,
    size: Option<u64>,
    sparse: bool,
}

impl<R: Read> LayerTar<R> {
    pub(super) fn new(input: R, most_members: usize) -> Self {
        Self { input, content: 0, padding: 0, members_left: most_members }
    }

    /// The next member; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Member>, TarError> {
        let mut extension = Extension::default();
        loop {
            self.skip()?;
            let Some(block) = self.block()? else { return Ok(None) };
            self.members_left = self.members_left.checked_sub(1).ok_or(TarError::TooMany)?;
            let header = Header::from_byte_slice(&block);
            let size = match header.entry_size() {
                Ok(size) if checksum_is_right(&block) => size,
                _ => return Err(bad("a header is damaged")),
            };
            let kind = header.entry_type();
            if is_extension(kind) {
                self.begin(size);
                self.extend(kind, &mut extension)?;
                continue;
            }
            let size = extension.size.unwrap_or(size);
            self.begin(size);
            let path = extension.path.take().unwrap_or_else(|| path_of(header));
            let names = names(&path)?;
            let kind = if extension.sparse { Kind::Other("a sparse file") } else { kind_of(kind, &path) };
            return Ok(Some(Member { names, kind, size }));
        }
    }

    /// The content of the member that [`next`](Self::next) gave.
    pub(super) fn content(&mut self) -> Content<'_, R> {
        Content(self)
    }

    /// What was read from, for whoever reads what follows the tar.
    pub(super) fn into_inner(self) -> R {
        self.input
    }

    fn begin(&mut self, size: u64) {
        self.content = size;
        // A size for which there is no multiple cannot be read to its end either.
        self.padding = size.checked_next_multiple_of(BLOCK).map_or(0, |end| end - size);
    }

    fn skip(&mut self) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(self.content), &mut io::sink())?;
        if skipped < self.content {
            return Err(cut_off());
        }
        // The padding of the last member may be missing.
        io::copy(&mut self.input.by_ref().take(self.padding), &mut io::sink())?;
        (self.content, self.padding) = (0, 0);
        Ok(())
    }

    /// The next header; `None` at the end mark, or where the tar ends without one.
    fn block(&mut self) -> io::Result<Option<[u8; BLOCK as usize]>> {
        let mut bytes = Vec::with_capacity(BLOCK as usize);
        self.input.by_ref().take(BLOCK).read_to_end(&mut bytes)?;
        match <[u8; BLOCK as usize]>::try_from(bytes) {
            Ok(block) if block == [0; BLOCK as usize] => Ok(None),
            Ok(block) => Ok(Some(block)),
            Err(bytes) if bytes.is_empty() => Ok(None),
            Err(_) => Err(cut_off()),
        }
    }

    fn extend(&mut self, kind: EntryType, extension: &mut Extension) -> Result<(), TarError> {
        if self.content > MAX_EXTENSION {
            return Err(bad("an extended header is over-long"));
        }
        let mut bytes = Vec::new();
        let mut content = self.content();
        content.read_to_end(&mut bytes)?;
        content.expect_end()?;
        if kind.is_gnu_longname() {
            let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            extension.path = Some(String::from_utf8_lossy(name).into_owned());
        } else if kind.is_pax_local_extensions() {
            for (key, value) in pax_records(&bytes).ok_or_else(|| bad("an extended header is damaged"))? {
                match key {
                    b"path" => extension.path = Some(String::from_utf8_lossy(value).into_owned()),
                    b"size" => {
                        let size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                        extension.size = Some(size.ok_or_else(|| bad("an extended header is damaged"))?);
                    }
                    key if key.starts_with(SPARSE_RECORD) => extension.sparse = true,
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// The content of a member.
pub(super) struct Content<'a, R>(&'a mut LayerTar<R>);

impl<R> Content<'_, R> {
    /// An error if the tar ended earlier than the content.
    pub(super) fn expect_end(&self) -> io::Result<()> {
        if self.0.content == 0 { Ok(()) } else { Err(cut_off()) }
    }
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.0.content).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.0.input.read(&mut buffer[..wanted])?;
        self.0.content -= count as u64;
        Ok(count)
    }
}

/// The words of a name beneath the root.
fn names(path: &str) -> Result<Vec<String>, TarError> {
    if path.starts_with('/') || path.contains('\0') || path.split('/').any(|word| word == "..") {
        return Err(TarError::Outside(path.chars().take(160).collect()));
    }
    Ok(path.split('/').filter(|word| !matches!(*word, "" | ".")).map(str::to_owned).collect())
}

fn kind_of(kind: EntryType, path: &str) -> Kind {
    match kind {
        EntryType::Regular | EntryType::Continuous if path.ends_with('/') => Kind::Folder,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Folder,
        EntryType::Link => Kind::Other("a hard link"),
        EntryType::Symlink => Kind::Other("a link"),
        EntryType::Char | EntryType::Block => Kind::Other("a device"),
        EntryType::Fifo => Kind::Other("a FIFO"),
        _ => Kind::Other("an unusual tar entry"),
    }
}

fn bad(what: &'static str) -> TarError {
    TarError::Io(io::Error::new(io::ErrorKind::InvalidData, what))
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the tar is cut off")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in members {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_mode(0o644);
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn all(bytes: &[u8], most: usize) -> Result<Vec<(String, Kind, u64)>, TarError> {
        let mut tar = LayerTar::new(bytes, most);
        let mut found = Vec::new();
        while let Some(member) = tar.next()? {
            found.push((member.names.join("/"), member.kind, member.size));
        }
        Ok(found)
    }

    #[test]
    fn members_in_their_order() {
        let bytes = tar(&[
            ("./", EntryType::Directory, b""),
            ("./a//b", EntryType::Regular, b"12345"),
            ("l", EntryType::Symlink, b""),
            ("e", EntryType::XHeader, b"12 path=c/d\n"),
            ("short", EntryType::Regular, b"x"),
            ("e", EntryType::GNULongName, b"long\0"),
            ("e", EntryType::XHeader, b"22 GNU.sparse.major=1\n"),
            ("short", EntryType::Regular, b""),
        ]);
        let kinds = all(&bytes, 100).unwrap();
        let expected = [
            ("", Kind::Folder, 0),
            ("a/b", Kind::File, 5),
            ("l", Kind::Other("a link"), 0),
            ("c/d", Kind::File, 1),
            ("long", Kind::Other("a sparse file"), 0),
        ];
        assert_eq!(kinds, expected.map(|(name, kind, size)| (name.to_owned(), kind, size)));
        assert!(matches!(all(&bytes, 3), Err(TarError::TooMany)));
        let mut reader = LayerTar::new(&bytes[..], 100);
        reader.next().unwrap();
        reader.next().unwrap();
        let mut content = Vec::new();
        reader.content().read_to_end(&mut content).unwrap();
        assert_eq!(content, b"12345");
        assert_eq!(reader.next().unwrap().unwrap().names, ["l"]);
    }

    #[test]
    fn names_that_point_outside() {
        for name in ["/x", "../x", "a/../../x", "a/.."] {
            assert!(
                matches!(all(&tar(&[(name, EntryType::Regular, b"")]), 9), Err(TarError::Outside(_))),
                "{name}"
            );
        }
        let hidden = tar(&[("e", EntryType::XHeader, b"16 path=../../x\n"), ("x", EntryType::Regular, b"")]);
        assert!(matches!(all(&hidden, 9), Err(TarError::Outside(_))));
    }

    #[test]
    fn every_cut_and_every_lie_is_an_error_or_harmless() {
        let bytes = tar(&[("a", EntryType::Regular, &[7; 700]), ("b", EntryType::Regular, b"x")]);
        for end in 0..bytes.len() {
            let whole = matches!(end, 0 | 2048..);
            let at_member = end == 512 + 1024 || (512 + 700..=512 + 1024).contains(&end) || end > 2048;
            assert!(all(&bytes[..end], 9).is_err() || whole || at_member, "cut at {end}");
        }
        let over_long = tar(&[("e", EntryType::GNULongName, &vec![b'a'; 1 << 17])]);
        assert!(matches!(all(&over_long, 9), Err(TarError::Io(_))));
        let lie = tar(&[
            ("e", EntryType::XHeader, b"28 size=9223372036854775807\n"),
            ("x", EntryType::Regular, b"x"),
        ]);
        assert!(matches!(all(&lie, 9), Err(TarError::Io(_))));
    }
}
