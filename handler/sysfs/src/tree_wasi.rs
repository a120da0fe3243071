//! A directory tree that is only read, under WASI. Every path is relative to its root, the parts joined by `/`.
//!
//! By WASI's own calls: std's way makes two or three of each one here, and an engine that interprets takes longer for a
//! call than for all that is done with its result.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::path::Path;

use wasi::{Errno, Fd, Rights};

use crate::sysfs::Kind;

/// What is done with directories, and with files in them.
const DIRECTORY: Rights = wasi::RIGHTS_PATH_OPEN
    | wasi::RIGHTS_PATH_FILESTAT_GET
    | wasi::RIGHTS_PATH_READLINK
    | wasi::RIGHTS_FD_READDIR;
const READ: Rights = wasi::RIGHTS_FD_READ;

/// Room for names that are read at once; any single one fits many times.
const NAMES: usize = 8 * 1024;
/// Read at once: one byte more than a page, so that a file of sysfs is known to be whole by one call.
const PAGE: usize = 4096 + 1;

/// The tree.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Open,
    room: RefCell<Vec<u8>>,
    calls: Cell<u64>,
}

/// An open file, or directory.
#[derive(Debug)]
struct Open(Fd);

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's own, and this is its end. What closing says, nobody could act upon.
        let _ = unsafe { wasi::fd_close(self.0) };
    }
}

impl Tree {
    /// The tree at this path; an error where there is no such directory.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = path.to_str().unwrap_or_default();
        let (preopened, below) =
            akri_preopen::find(path, &akri_preopen::preopened()).ok_or(ErrorKind::NotFound)?;
        // SAFETY: the engine opened this descriptor before the start, and nothing here closes it.
        let root = unsafe {
            wasi::path_open(
                preopened,
                wasi::LOOKUPFLAGS_SYMLINK_FOLLOW,
                below,
                wasi::OFLAGS_DIRECTORY,
                DIRECTORY,
                DIRECTORY | READ,
                0,
            )
        };
        Ok(Self { root: Open(root.map_err(error)?), room: RefCell::new(vec![0; NAMES]), calls: Cell::new(1) })
    }

    /// How many calls of the engine were made so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Calls `each` with the name and kind of every entry. A name that is not UTF-8 is passed over.
    pub(crate) fn entries(&self, folder: &str, each: &mut dyn FnMut(&str, Kind)) -> io::Result<()> {
        let folder = self.opened(folder, wasi::OFLAGS_DIRECTORY, wasi::RIGHTS_FD_READDIR, 0)?;
        let mut room = self.room.borrow_mut();
        let mut cookie = wasi::DIRCOOKIE_START;
        loop {
            self.count(1);
            // SAFETY: `room` is that long, and the engine only writes to it.
            let used = unsafe { wasi::fd_readdir(folder.0, room.as_mut_ptr(), room.len(), cookie) };
            let used = used.map_err(error)?;
            let mut rest = room.get(..used).unwrap_or_default();
            let before = cookie;
            while let Some((dirent, name, behind)) = entry(rest) {
                (cookie, rest) = (dirent.d_next, behind);
                let kind = match dirent.d_type {
                    wasi::FILETYPE_DIRECTORY => Kind::Directory,
                    wasi::FILETYPE_SYMBOLIC_LINK => Kind::Link,
                    _ => Kind::Other,
                };
                match std::str::from_utf8(name) {
                    Err(_) | Ok("." | "..") => {}
                    Ok(name) => each(name, kind),
                }
            }
            if used < room.len() || cookie == before {
                self.count(1);
                return Ok(());
            }
        }
    }

    /// A file's bytes; an error where there are more than `limit`, or where it is a link.
    pub(crate) fn read(&self, file: &str, limit: usize) -> io::Result<Vec<u8>> {
        // Non-blocking: whatever is there must not hold the look up.
        let file = self.opened(file, 0, READ, wasi::FDFLAGS_NONBLOCK)?;
        let mut room = self.room.borrow_mut();
        let room = &mut room[..PAGE];
        let mut bytes = Vec::new();
        loop {
            let parts = [wasi::Iovec { buf: room.as_mut_ptr(), buf_len: room.len() }];
            self.count(1);
            // SAFETY: the one part is `room`, which nothing else looks at meanwhile.
            let count = unsafe { wasi::fd_read(file.0, &parts) }.map_err(error)?;
            bytes.extend_from_slice(room.get(..count).unwrap_or_default());
            if bytes.len() > limit {
                return Err(ErrorKind::FileTooLarge.into());
            }
            if count < room.len() {
                self.count(1);
                return Ok(bytes);
            }
        }
    }

    /// Where a link leads.
    pub(crate) fn link(&self, path: &str) -> io::Result<String> {
        let mut room = self.room.borrow_mut();
        self.count(1);
        // SAFETY: `room` is that long, and the engine only writes to it.
        let used = unsafe { wasi::path_readlink(self.root.0, path, room.as_mut_ptr(), PAGE) };
        let target = room.get(..used.map_err(error)?).unwrap_or_default();
        let target = std::str::from_utf8(target).map_err(|_| ErrorKind::InvalidData)?;
        Ok(target.to_owned())
    }

    /// Whether there is anything of that name.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.count(1);
        // SAFETY: the descriptor is open as long as `self` is.
        unsafe { wasi::path_filestat_get(self.root.0, 0, path) }.is_ok()
    }

    fn opened(&self, path: &str, how: u16, rights: Rights, flags: u16) -> io::Result<Open> {
        self.count(1);
        // SAFETY: the descriptor is open as long as `self` is. No link is followed at the path's end.
        let fd = unsafe { wasi::path_open(self.root.0, 0, path, how, rights, 0, flags) };
        Ok(Open(fd.map_err(error)?))
    }

    fn count(&self, calls: u64) {
        self.calls.set(self.calls.get() + calls);
    }
}

/// The first entry of what `fd_readdir` wrote, its name, and what follows; `None` where it is cut off: then it is read
/// again from its cookie on.
fn entry(bytes: &[u8]) -> Option<(wasi::Dirent, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<{ size_of::<wasi::Dirent>() }>()?;
    // SAFETY: just so many bytes, and any bytes are a valid entry: it is made of numbers.
    let dirent = unsafe { head.as_ptr().cast::<wasi::Dirent>().read_unaligned() };
    let (name, rest) = rest.split_at_checked(dirent.d_namlen as usize)?;
    Some((dirent, name, rest))
}

fn error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw().into())
}
