//! Where the bytes come from: a folder or a tar file. Opens regular files only, never through a link.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use super::tar_index::{Range, TarIndex};
use super::{Finding, Limits, Problem};

/// The two forms of an image layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// A folder.
    Layout,
    /// A tar file.
    Archive,
    /// No image: a WebAssembly binary by itself.
    Module,
}

/// Why there is nothing to inspect.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The system refused.
    #[error("cannot open {path}")]
    Open {
        /// What was to be inspected.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A device, a FIFO, a socket.
    #[error("{0} is neither a folder nor a regular file")]
    Kind(PathBuf),
    /// A tar.gz or the like.
    #[error("{0} is compressed: decompress it first, for an oci-archive is a plain tar file")]
    Compressed(PathBuf),
    /// Not a tar file.
    #[error("{0} is neither an oci-archive nor a WebAssembly binary")]
    NotTar(PathBuf),
}

/// An opened layout.
#[derive(Debug)]
pub(crate) enum Source {
    Layout(OwnedFd),
    Archive(File, TarIndex),
}

/// An opened file of the layout.
pub(crate) struct Member<'a> {
    pub reader: Box<dyn Read + 'a>,
    pub size: u64,
}

impl Source {
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<(Self, Vec<Finding>), InspectError> {
        let at = |source| InspectError::Open { path: path.to_owned(), source };
        let metadata = path.metadata().map_err(at)?;
        let is_dir = metadata.is_dir();
        if !is_dir && !metadata.is_file() {
            return Err(InspectError::Kind(path.to_owned()));
        }
        let file = File::open(path).map_err(at)?;
        if is_dir {
            return Ok((Self::Layout(file.into()), Vec::new()));
        }
        let mut start = [0; 4];
        let length = file.read_at(&mut start, 0).map_err(at)?;
        // gzip, zstd.
        if start[..length].starts_with(&[0x1f, 0x8b]) || start[..length] == [0x28, 0xb5, 0x2f, 0xfd] {
            return Err(InspectError::Compressed(path.to_owned()));
        }
        let (index, findings) = TarIndex::read(&file, limits).map_err(at)?;
        let index = index.ok_or_else(|| InspectError::NotTar(path.to_owned()))?;
        Ok((Self::Archive(file, index), findings))
    }

    pub(crate) fn kind(&self) -> InputKind {
        match self {
            Self::Layout(_) => InputKind::Layout,
            Self::Archive(..) => InputKind::Archive,
        }
    }

    /// Opens the file at `path`, which is made of this crate's constants and verified hex digits.
    pub(crate) fn member(&self, path: &str) -> Result<Member<'_>, Problem> {
        match self {
            Self::Layout(root) => beneath(root, path),
            Self::Archive(file, index) => match index.get(path) {
                Some(range) => {
                    Ok(Member { reader: Box::new(Section { file, range }), size: range.end - range.start })
                }
                None => Err(Problem::Missing(path.to_owned())),
            },
        }
    }
}

/// Walks down from `root` one name at a time: a link on the way is an error, not a way out.
fn beneath(root: &OwnedFd, path: &str) -> Result<Member<'static>, Problem> {
    let failed = |errno: Errno| match errno {
        Errno::NOENT => Problem::Missing(path.to_owned()),
        Errno::LOOP | Errno::NOTDIR => Problem::NotRegular { path: path.to_owned(), kind: "a link" },
        // Sockets cannot be opened.
        Errno::NXIO => Problem::NotRegular { path: path.to_owned(), kind: "a socket" },
        errno => Problem::Unreadable { path: path.to_owned(), source: errno.into() },
    };
    // NONBLOCK: a FIFO in place of a file must not make us wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut current: Option<OwnedFd> = None;
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        let flags = if names.peek().is_some() { flags | OFlags::DIRECTORY } else { flags };
        let parent = current.as_ref().unwrap_or(root);
        current = Some(openat(parent, name, flags, Mode::empty()).map_err(failed)?);
    }
    let file = current.ok_or_else(|| Problem::Missing(path.to_owned()))?;
    let stat = fstat(&file).map_err(failed)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            return Ok(Member { reader: Box::new(File::from(file)), size });
        }
        FileType::Directory => "a folder",
        FileType::Fifo => "a FIFO",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "something special",
    };
    Err(Problem::NotRegular { path: path.to_owned(), kind })
}

/// A stretch of the archive.
struct Section<'a> {
    file: &'a File,
    range: Range,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let count = self.file.read_at(&mut buffer[..wanted], self.range.start)?;
        self.range.start += count as u64;
        Ok(count)
    }
}
