//! A directory tree that is only read, natively. Every path is relative to its root, the parts joined by `/`.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use crate::look::Kind;

/// Room for names that are read at once.
const NAMES: usize = 8 * 1024;
/// Read at once: one byte more than a page, so that a file of sysfs is known to be whole by one call.
const PAGE: usize = 4096 + 1;

/// The tree.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    room: RefCell<Vec<u8>>,
    calls: Cell<u64>,
}

impl Tree {
    /// The tree at this path; an error where there is no such directory.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let root = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, room: RefCell::new(vec![0; PAGE]), calls: Cell::new(1) })
    }

    /// How many system calls were made so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Calls `each` with the name and kind of every entry. A name that is not UTF-8 is passed over.
    pub(crate) fn entries(&self, folder: &str, each: &mut dyn FnMut(&str, Kind)) -> io::Result<()> {
        let folder = self.opened(folder, OFlags::DIRECTORY)?;
        let mut room = vec![MaybeUninit::uninit(); NAMES];
        let mut entries = RawDir::new(&folder, &mut room);
        loop {
            if entries.is_buffer_empty() {
                self.count(1);
            }
            let Some(entry) = entries.next() else { break };
            let entry = entry?;
            let kind = match entry.file_type() {
                FileType::Directory => Kind::Directory,
                FileType::Symlink => Kind::Link,
                _ => Kind::Other,
            };
            match entry.file_name().to_str() {
                Err(_) | Ok("." | "..") => {}
                Ok(name) => each(name, kind),
            }
        }
        self.count(1);
        Ok(())
    }

    /// A file's bytes; an error where there are more than `limit`, or where it is a link. The kernel walks a whole path by
    /// one call: which folder it is in is of no use here.
    pub(crate) fn read(&self, file: &str, _folder: usize, limit: usize) -> io::Result<Vec<u8>> {
        let file = self.opened(file, OFlags::empty())?;
        let mut room = self.room.borrow_mut();
        let mut bytes = Vec::new();
        loop {
            self.count(1);
            let count = match rustix::io::read(&file, &mut room[..]) {
                Err(Errno::INTR) => continue,
                result => result?,
            };
            bytes.extend_from_slice(&room[..count]);
            if bytes.len() > limit {
                return Err(ErrorKind::FileTooLarge.into());
            }
            if count < room.len() {
                self.count(1);
                return Ok(bytes);
            }
        }
    }

    /// Hands on where a link leads.
    pub(crate) fn link<T>(&self, path: &str, _folder: usize, to: impl FnOnce(&str) -> T) -> io::Result<T> {
        self.count(1);
        let target = rustix::fs::readlinkat(&self.root, path, Vec::new())?;
        Ok(to(target.to_str().map_err(|_| ErrorKind::InvalidData)?))
    }

    /// Whether there is anything of that name.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.count(1);
        rustix::fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    fn opened(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        self.count(1);
        // Non-blocking: whatever is there must not hold the look up.
        let all = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.root, path, all | flags, Mode::empty())?)
    }

    fn count(&self, calls: u64) {
        self.calls.set(self.calls.get() + calls);
    }
}
