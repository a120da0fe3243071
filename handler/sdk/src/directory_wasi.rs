//! The exchange directory, under WASI. Every path is relative to it, its parts joined by `/`.
//!
//! By WASI's own calls: std's files and paths, and the C library's below them, would be 20 kB more in every handler, and
//! make two or three calls of each one here.

use std::io;
use std::path::Path;

use wasi::{Errno, Fd, Rights};

/// What is done with the directory itself,
const DIRECTORY: Rights = wasi::RIGHTS_PATH_OPEN
    | wasi::RIGHTS_PATH_CREATE_FILE
    // Which truncating a file is.
    | wasi::RIGHTS_PATH_FILESTAT_SET_SIZE
    | wasi::RIGHTS_PATH_FILESTAT_GET
    | wasi::RIGHTS_PATH_RENAME_SOURCE
    | wasi::RIGHTS_PATH_RENAME_TARGET
    | wasi::RIGHTS_PATH_UNLINK_FILE
    | FOLDER;
/// with folders in it,
const FOLDER: Rights = wasi::RIGHTS_FD_READDIR;
/// and with files.
const READ: Rights = wasi::RIGHTS_FD_READ | wasi::RIGHTS_FD_FILESTAT_GET;
const WRITE: Rights = wasi::RIGHTS_FD_WRITE;
const FIFO: Rights = READ | WRITE | wasi::RIGHTS_POLL_FD_READWRITE;

/// Room for the names that are read at once; any single one fits many times.
const NAMES: usize = 8 * 1024;

/// The exchange directory.
#[derive(Debug, Clone)]
pub(crate) struct Directory(std::rc::Rc<File>);

/// An open file, or folder.
#[derive(Debug)]
pub(crate) struct File(Fd);

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's own, and this is its end. What closing says, nobody could act upon.
        let _ = unsafe { wasi::fd_close(self.0) };
    }
}

impl Directory {
    /// The directory at this path; an error where there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = path.to_str().unwrap_or_default();
        let (preopened, below) =
            akri_preopen::find(path, &akri_preopen::preopened()).ok_or(io::ErrorKind::NotFound)?;
        let all = DIRECTORY | FIFO;
        // SAFETY: the engine opened this descriptor before the start, and nothing here closes it.
        let fd = unsafe {
            wasi::path_open(
                preopened,
                wasi::LOOKUPFLAGS_SYMLINK_FOLLOW,
                below,
                wasi::OFLAGS_DIRECTORY,
                DIRECTORY,
                all,
                0,
            )
        };
        Ok(Self(File(fd.map_err(error)?).into()))
    }

    /// The names in a folder; `None` where there is no such folder. A name that is not UTF-8 is none of ours.
    pub(crate) fn names(&self, folder: &str) -> io::Result<Option<Vec<String>>> {
        let Some(folder) = self.opened(folder, wasi::OFLAGS_DIRECTORY, FOLDER, 0)? else { return Ok(None) };
        let (mut names, mut room, mut cookie) = (Vec::new(), vec![0; NAMES], wasi::DIRCOOKIE_START);
        loop {
            // SAFETY: `room` is that long, and the engine only writes to it.
            let used = unsafe { wasi::fd_readdir(folder.0, room.as_mut_ptr(), room.len(), cookie) };
            let used = used.map_err(error)?;
            let mut rest = room.get(..used).unwrap_or_default();
            while let Some((next, name, behind)) = entry(rest) {
                (cookie, rest) = (next, behind);
                // The folder itself and the one around it are listed, too.
                match std::str::from_utf8(name) {
                    Err(_) | Ok("." | "..") => {}
                    Ok(name) => names.push(name.to_owned()),
                }
            }
            if used < room.len() {
                return Ok(Some(names));
            }
        }
    }

    /// A file's bytes, at most `limit`; `None` where it is not there.
    pub(crate) fn read(&self, file: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        // Non-blocking: or a FIFO would hold the handler up for as long as nobody writes to it.
        let Some(file) = self.opened(file, 0, READ, wasi::FDFLAGS_NONBLOCK)? else { return Ok(None) };
        let stat = file.stat()?;
        if stat.filetype != wasi::FILETYPE_REGULAR_FILE {
            return Err(super::files::no_file());
        }
        // Files here are renamed into place when they are whole, so they do not grow beneath a reader.
        let length = usize::try_from(stat.size).unwrap_or(limit).min(limit);
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match file.read(&mut bytes[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        bytes.truncate(filled);
        Ok(Some(bytes))
    }

    /// A file's length in bytes; `None` where it is not there.
    pub(crate) fn length(&self, file: &str) -> io::Result<Option<u64>> {
        Ok(present(self.stat(file))?.map(|stat| stat.size))
    }

    /// Writes a file in place.
    pub(crate) fn write(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let flags = wasi::OFLAGS_CREAT | wasi::OFLAGS_TRUNC;
        let file = self.opened(file, flags, WRITE, 0)?.ok_or(io::ErrorKind::NotFound)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let parts = [wasi::Ciovec { buf: rest.as_ptr(), buf_len: rest.len() }];
            // SAFETY: the one part is `rest`, which the engine only reads.
            let count = unsafe { wasi::fd_write(file.0, &parts) }.map_err(error)?;
            rest = match rest.get(count..) {
                Some(rest) if count > 0 => rest,
                _ => return Err(io::ErrorKind::WriteZero.into()),
            };
        }
        Ok(())
    }

    /// Renames a file, over another one if there is one.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        // SAFETY: the descriptor is open as long as `self` is.
        unsafe { wasi::path_rename(self.0.0, from, self.0.0, to) }.map_err(error)
    }

    /// Removes a file. That it is gone already is as good.
    pub(crate) fn remove(&self, file: &str) -> io::Result<()> {
        // SAFETY: the descriptor is open as long as `self` is.
        present(unsafe { wasi::path_unlink_file(self.0.0, file) }).map(|_| ())
    }

    /// The FIFO of this name, open for reading *and* writing: so the opening neither waits for a writer nor does the FIFO
    /// end with one. `None` where it is not there.
    pub(crate) fn fifo(&self, name: &str) -> io::Result<Option<File>> {
        self.opened(name, 0, FIFO, 0)
    }

    /// What the name stands for now.
    pub(crate) fn stat(&self, name: &str) -> Result<wasi::Filestat, Errno> {
        // SAFETY: the descriptor is open as long as `self` is.
        unsafe { wasi::path_filestat_get(self.0.0, wasi::LOOKUPFLAGS_SYMLINK_FOLLOW, name) }
    }

    fn opened(&self, name: &str, how: u16, rights: Rights, flags: u16) -> io::Result<Option<File>> {
        // SAFETY: the descriptor is open as long as `self` is.
        present(unsafe {
            wasi::path_open(self.0.0, wasi::LOOKUPFLAGS_SYMLINK_FOLLOW, name, how, rights, rights, flags)
        })
        .map(|fd| fd.map(File))
    }
}

impl File {
    pub(crate) fn descriptor(&self) -> Fd {
        self.0
    }

    pub(crate) fn stat(&self) -> io::Result<wasi::Filestat> {
        // SAFETY: the descriptor is open as long as `self` is.
        unsafe { wasi::fd_filestat_get(self.0) }.map_err(error)
    }

    /// Reads what is there, at most as much as `bytes` holds.
    pub(crate) fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let parts = [wasi::Iovec { buf: bytes.as_mut_ptr(), buf_len: bytes.len() }];
        // SAFETY: the one part is `bytes`, which nothing else looks at meanwhile.
        let count = unsafe { wasi::fd_read(self.0, &parts) }.map_err(error)?;
        Ok(count.min(bytes.len()))
    }
}

/// The first entry of what `fd_readdir` wrote, as the next one's cookie and the name, and what follows; `None` where it is
/// cut off: then it is read again from its cookie on.
fn entry(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<{ size_of::<wasi::Dirent>() }>()?;
    // SAFETY: just so many bytes, and any bytes are a valid entry: it is made of numbers.
    let dirent = unsafe { head.as_ptr().cast::<wasi::Dirent>().read_unaligned() };
    let (name, rest) = rest.split_at_checked(dirent.d_namlen as usize)?;
    Some((dirent.d_next, name, rest))
}

/// `None` where something is not there.
fn present<T>(result: Result<T, Errno>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(wasi::ERRNO_NOENT) => Ok(None),
        Err(errno) => Err(error(errno)),
    }
}

pub(crate) fn error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw().into())
}
