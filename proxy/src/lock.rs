//! A lock file that one living process holds. The kernel lets go of it when the process dies, however it dies.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, openat, statat, unlinkat};
use rustix::io::Errno;

/// A flocked file in a directory. Dropping it unlocks; [`LockFile::remove`] also takes the file away.
#[derive(Debug)]
pub(crate) struct LockFile {
    directory: OwnedFd,
    name: String,
    file: File,
}

impl LockFile {
    /// Takes the lock, making the file where there is none; `None` where a living process holds it.
    pub(crate) fn try_take(directory: impl AsFd, name: &str) -> io::Result<Option<Self>> {
        // A holder that leaves removes its file. Whoever opened the file just before then holds a lock on nothing;
        // hence the comparison, and another try. Each further turn means that another process came and went meanwhile.
        const TURNS: u32 = 100;
        for _ in 0..TURNS {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let file: File = openat(&directory, name, flags, Mode::from_raw_mode(0o600))?.into();
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Ok(None),
                other => other?,
            }
            let held = fstat(&file)?;
            match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(named) if (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino) => {
                    let directory = directory.as_fd().try_clone_to_owned()?;
                    return Ok(Some(Self { directory, name: name.to_owned(), file }));
                }
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(io::Error::other(format!("the lock file {name} is replaced over and over")))
    }

    /// Whether the file under the name is still the one that is held.
    pub(crate) fn is_current(&self) -> bool {
        match (statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW), fstat(&self.file)) {
            (Ok(named), Ok(held)) => (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino),
            _ => false,
        }
    }

    /// Removes the file, then unlocks it.
    pub(crate) fn remove(self) {
        if self.is_current() {
            // Left behind it does no harm: the next holder takes it as it is.
            let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let directory = File::open(folder.path()).unwrap();
        let first = LockFile::try_take(&directory, "l").unwrap().unwrap();
        assert!(LockFile::try_take(&directory, "l").unwrap().is_none());
        drop(first);
        let second = LockFile::try_take(&directory, "l").unwrap().unwrap();
        std::fs::remove_file(folder.path().join("l")).unwrap();
        assert!(!second.is_current());
        let third = LockFile::try_take(&directory, "l").unwrap().unwrap();
        second.remove();
        assert!(third.is_current());
        third.remove();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
