//! The exchange directory, natively. Every path is relative to it, its parts joined by `/`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// The exchange directory.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// The directory at this path; an error where there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        fs::read_dir(path)?;
        Ok(Self(path.to_owned()))
    }

    /// The names in a folder; `None` where there is no such folder. A name that is not UTF-8 is none of ours.
    pub(crate) fn names(&self, folder: &str) -> io::Result<Option<Vec<String>>> {
        let Some(entries) = present(fs::read_dir(self.path(folder)))? else { return Ok(None) };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string());
        }
        Ok(Some(names))
    }

    /// A file's bytes, at most `limit`; `None` where it is not there.
    pub(crate) fn read(&self, file: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        // Non-blocking: or a FIFO would hold the handler up for as long as nobody writes to it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(self.path(file), flags, Mode::empty());
        let Some(file) = present(opened.map(File::from).map_err(io::Error::from))? else { return Ok(None) };
        if !file.metadata()?.is_file() {
            return Err(super::files::no_file());
        }
        let mut bytes = Vec::new();
        file.take(limit as u64).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// A file's length in bytes; `None` where it is not there.
    pub(crate) fn length(&self, file: &str) -> io::Result<Option<u64>> {
        Ok(present(fs::metadata(self.path(file)))?.map(|metadata| metadata.len()))
    }

    /// Writes a file in place.
    pub(crate) fn write(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        fs::write(self.path(file), bytes)
    }

    /// Renames a file, over another one if there is one.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    /// Removes a file. That it is gone already is as good.
    pub(crate) fn remove(&self, file: &str) -> io::Result<()> {
        present(fs::remove_file(self.path(file))).map(|_| ())
    }

    /// The FIFO of this name, open for reading *and* writing: so the opening neither waits for a writer nor does the FIFO
    /// end with one. `None` where it is not there.
    pub(crate) fn fifo(&self, name: &str) -> io::Result<Option<File>> {
        present(OpenOptions::new().read(true).write(true).open(self.path(name)))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// `None` where something is not there.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
