//! A directory tree that is only read, under WASI. Every path is relative to its root, the parts joined by `/`.
//!
//! By WASI's own calls: std's way makes two or three of each one here. And from folders that are kept open: for each part of
//! a path but the last, WasmEdge makes three system calls, and neighbours have all but the last parts in common.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::path::Path;

use wasi::{Errno, Fd, Rights};

use crate::compare::same;
use crate::look::Kind;

/// What is done with directories, and with files in them.
const DIRECTORY: Rights =
    wasi::RIGHTS_PATH_OPEN | wasi::RIGHTS_PATH_FILESTAT_GET | wasi::RIGHTS_PATH_READLINK;
const LIST: Rights = DIRECTORY | wasi::RIGHTS_FD_READDIR;
const READ: Rights = wasi::RIGHTS_FD_READ;

/// Folders that are kept open at most: those of subsystems (two places), that of the links, that of the devices, and two for
/// what is asked of the devices above.
const OPEN: usize = 6;

/// Room for names that are read at once; any single one fits many times.
const NAMES: usize = 8 * 1024;
/// Read at once: one byte more than a page, so that a file of sysfs is known to be whole by one call.
const PAGE: usize = 4096 + 1;

/// The tree.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Open,
    /// The folders used last.
    folders: RefCell<Vec<Folder>>,
    /// The one of them that goes next.
    oldest: Cell<usize>,
    room: RefCell<Vec<u8>>,
    calls: Cell<u64>,
}

/// An open folder.
#[derive(Debug)]
struct Folder {
    path: String,
    open: Open,
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
        thread_local! {
            /// The engine's directories are the same as long as it runs.
            static PREOPENED: Vec<(Fd, String)> = akri_preopen::preopened();
        }
        let path = path.to_str().unwrap_or_default();
        let (preopened, below) =
            PREOPENED.with(|all| akri_preopen::find(path, all)).ok_or(ErrorKind::NotFound)?;
        // SAFETY: the engine opened this descriptor before the start, and nothing here closes it.
        let root = unsafe {
            wasi::path_open(
                preopened,
                wasi::LOOKUPFLAGS_SYMLINK_FOLLOW,
                below,
                wasi::OFLAGS_DIRECTORY,
                DIRECTORY,
                LIST | READ,
                0,
            )
        };
        Ok(Self {
            root: Open(root.map_err(error)?),
            folders: RefCell::default(),
            oldest: Cell::new(0),
            room: RefCell::new(vec![0; NAMES]),
            calls: Cell::new(1),
        })
    }

    /// How many calls of the engine were made so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Calls `each` with the name and kind of every entry. A name that is not UTF-8 is passed over.
    pub(crate) fn entries(&self, folder: &str, each: &mut dyn FnMut(&str, Kind)) -> io::Result<()> {
        let open = self.opened(folder, parent(folder), wasi::OFLAGS_DIRECTORY, LIST, LIST | READ, 0)?;
        // What is listed is mostly used then.
        let fd = self.keep(folder, open);
        let mut room = self.room.borrow_mut();
        let mut cookie = wasi::DIRCOOKIE_START;
        loop {
            self.count(1);
            // SAFETY: `room` is that long, and the engine only writes to it.
            let used = unsafe { wasi::fd_readdir(fd, room.as_mut_ptr(), room.len(), cookie) };
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
                return Ok(());
            }
        }
    }

    /// A file's bytes; an error where there are more than `limit`, or where it is a link. The first `folder` bytes of the
    /// path are a folder from which more may be read.
    pub(crate) fn read(&self, file: &str, folder: usize, limit: usize) -> io::Result<Vec<u8>> {
        // Non-blocking: whatever is there must not hold the look up.
        let file = self.opened(file, folder, 0, READ, 0, wasi::FDFLAGS_NONBLOCK)?;
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

    /// Hands on where a link leads. The first `folder` bytes of the path are a folder with more links.
    pub(crate) fn link<T>(&self, path: &str, folder: usize, to: impl FnOnce(&str) -> T) -> io::Result<T> {
        let (from, rest) = self.near(path, folder);
        let mut room = self.room.borrow_mut();
        self.count(1);
        // SAFETY: `room` is that long, and the engine only writes to it.
        let used = unsafe { wasi::path_readlink(from, rest, room.as_mut_ptr(), PAGE) };
        let target = room.get(..used.map_err(error)?).unwrap_or_default();
        Ok(to(std::str::from_utf8(target).map_err(|_| ErrorKind::InvalidData)?))
    }

    /// Whether there is anything of that name.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.count(1);
        // SAFETY: the descriptor is open as long as `self` is.
        unsafe { wasi::path_filestat_get(self.root.0, 0, path) }.is_ok()
    }

    fn opened(
        &self,
        path: &str,
        folder: usize,
        how: u16,
        rights: Rights,
        below: Rights,
        flags: u16,
    ) -> io::Result<Open> {
        let (from, rest) = self.near(path, folder);
        self.open_from(from, rest, how, rights, below, flags)
    }

    fn open_from(
        &self,
        from: Fd,
        path: &str,
        how: u16,
        rights: Rights,
        below: Rights,
        flags: u16,
    ) -> io::Result<Open> {
        self.count(1);
        // SAFETY: who calls this has it from `near`. No link is followed at the path's end.
        let fd = unsafe { wasi::path_open(from, 0, path, how, rights, below, flags) };
        Ok(Open(fd.map_err(error)?))
    }

    /// The folder that the first `folder` bytes of the path are, opened if it is not yet, and the path below it. Where it
    /// cannot be opened, what is asked of the whole path will say why. Good until the next folder is kept.
    fn near<'p>(&self, path: &'p str, folder: usize) -> (Fd, &'p str) {
        let (Some(wanted), Some(rest)) = (path.get(..folder), path.get(folder + 1..)) else {
            return (self.root.0, path);
        };
        let (mut from, mut known) = (self.root.0, 0);
        for other in self.folders.borrow().iter() {
            if same(&other.path, wanted) {
                return (other.open.0, rest);
            }
            let length = other.path.len();
            let is_above = length > known
                && wanted.as_bytes().get(length) == Some(&b'/')
                && wanted.get(..length).is_some_and(|above| same(above, &other.path));
            if is_above {
                (from, known) = (other.open.0, length + 1);
            }
        }
        let below = wanted.get(known..).unwrap_or_default();
        match self.open_from(from, below, wasi::OFLAGS_DIRECTORY, DIRECTORY, LIST | READ, 0) {
            Ok(open) => (self.keep(wanted, open), rest),
            Err(_) => (self.root.0, path),
        }
    }

    fn keep(&self, path: &str, open: Open) -> Fd {
        let fd = open.0;
        let mut folders = self.folders.borrow_mut();
        let folder = Folder { path: path.to_owned(), open };
        if folders.len() < OPEN {
            folders.push(folder);
        } else {
            let oldest = self.oldest.replace((self.oldest.get() + 1) % OPEN);
            folders[oldest] = folder;
        }
        fd
    }

    fn count(&self, calls: u64) {
        self.calls.set(self.calls.get() + calls);
    }
}

/// How long the folder is that holds this path.
fn parent(path: &str) -> usize {
    crate::path::parent(path).map_or(0, str::len)
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
