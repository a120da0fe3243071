//! This proxy's folder of requests, and the folders of the others: which of them live, and what the dead ones left.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use akri_exchange::{RequestId, layout, limits};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;

use super::ExchangeDir;
use crate::lock::LockFile;

/// How many proxies may share one exchange. A pod has one or two.
pub(crate) const MOST_PROXIES: u32 = 16;
/// How long requests of a dead proxy are kept for its successor. A container that crashes is restarted after 10 s at
/// first, and the Agent comes back within its own back-off.
pub(crate) const ORPHAN_GRACE: Duration = Duration::from_secs(60);

/// The folder that this proxy holds the lock of.
#[derive(Debug)]
pub(crate) struct OwnFolder {
    pub(crate) index: u32,
    fd: OwnedFd,
    lock: LockFile,
}

/// When to look whether a folder without an owner is still without one.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    due: HashMap<u32, Instant>,
}

impl OwnFolder {
    /// Takes the lowest folder that no living proxy holds: that of a dead predecessor, if there is one.
    pub(crate) fn take(dir: &ExchangeDir) -> io::Result<Self> {
        let requests = dir.folder(layout::REQUESTS)?;
        for index in 0..MOST_PROXIES {
            if let Some((fd, lock)) = move_in(dir, &requests, index)? {
                dir.sweep(&fd, &[])?;
                return Ok(Self { index, fd, lock });
            }
        }
        Err(io::Error::other(format!("{MOST_PROXIES} proxies share this exchange directory already")))
    }

    /// Whether the folder is still the one under its name.
    pub(crate) fn is_current(&self, dir: &ExchangeDir) -> bool {
        let path =
            dir.path().join(layout::REQUESTS).join(layout::proxy_folder(self.index)).join(layout::LOCK);
        let named = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW);
        let held = rustix::fs::statat(&self.fd, layout::LOCK, AtFlags::SYMLINK_NOFOLLOW);
        match (named, held) {
            (Ok(named), Ok(held)) => {
                (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino) && self.lock.is_current()
            }
            _ => false,
        }
    }

    /// Requests that stand in it.
    pub(crate) fn requests(&self, dir: &ExchangeDir) -> io::Result<Vec<RequestId>> {
        let names = dir.names(&self.fd, limits::REQUESTS)?;
        Ok(names.iter().filter_map(|name| layout::request_id(name)).collect())
    }

    /// Puts a request up.
    pub(crate) fn put(&self, dir: &ExchangeDir, id: RequestId, bytes: &[u8]) -> io::Result<()> {
        dir.write(&self.fd, &layout::message(id), bytes)
    }

    /// Takes a request down.
    pub(crate) fn take_down(&self, dir: &ExchangeDir, id: RequestId) -> io::Result<()> {
        dir.remove(&self.fd, &layout::message(id))
    }

    /// Leaves for good: takes everything down and lets go of the lock.
    pub(crate) fn leave(self, dir: &ExchangeDir) {
        empty(dir, self.index, &self.fd);
        self.lock.remove();
        remove(dir, self.index);
    }
}

/// Takes a folder if nobody lives in it. Whoever leaves it removes it, perhaps between our two steps: then once more.
fn move_in(dir: &ExchangeDir, requests: &OwnedFd, index: u32) -> io::Result<Option<(OwnedFd, LockFile)>> {
    const TRIES: u32 = 10;
    let mut left = TRIES;
    loop {
        left -= 1;
        let taken = dir
            .subfolder(requests, &layout::proxy_folder(index))
            .and_then(|fd| Ok(LockFile::try_take(&fd, layout::LOCK)?.map(|lock| (fd, lock))));
        match taken {
            Err(error) if error.kind() == io::ErrorKind::NotFound && left > 0 => {}
            taken => return taken,
        }
    }
}

/// Indices of the other proxies' folders.
pub(crate) fn others(dir: &ExchangeDir, own: Option<u32>) -> io::Result<Vec<u32>> {
    let names = match dir.folder(layout::REQUESTS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        requests => dir.names(requests?, limits::REQUESTS)?,
    };
    let there = |index: &u32| names.contains(&layout::proxy_folder(*index));
    Ok((0..MOST_PROXIES).filter(|index| Some(*index) != own).filter(there).collect())
}

/// Whether a living proxy holds a folder. Opens the lock for reading only: closing it after writing is what tells other
/// proxies of a death. Where it cannot be seen, one lives: to take a living one for dead is the worse mistake.
pub(crate) fn lives(dir: &ExchangeDir, index: u32) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let lock = open(dir, index).and_then(|fd| Ok(openat(&fd, layout::LOCK, flags, Mode::empty())?));
    match lock {
        Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

impl Orphans {
    /// A folder's owner may be gone: keeps its requests for a successor, for a while, and only then looks.
    /// (Right now its lock tells nothing: the kernel says that a file is closed before it lets go of the lock.)
    pub(crate) fn notice(&mut self, index: u32, now: Instant) {
        self.due.entry(index).or_insert(now + ORPHAN_GRACE);
    }

    /// When to call [`Orphans::reap`] next.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// Removes the folders whose time is up and that nobody lives in. Whether there were any.
    pub(crate) fn reap(&mut self, dir: &ExchangeDir, now: Instant) -> bool {
        let due: Vec<u32> =
            self.due.iter().filter(|(_, due)| **due <= now).map(|(index, _)| *index).collect();
        let mut reaped = false;
        for index in due {
            self.due.remove(&index);
            match lock(dir, index) {
                Ok(Some((lock, fd))) => {
                    tracing::info!(proxy = index, "removing the requests of a proxy that did not come back");
                    empty(dir, index, &fd);
                    lock.remove();
                    remove(dir, index);
                    reaped = true;
                }
                // Somebody lives there again, or it is gone.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(proxy = index, %error, "cannot look after a dead proxy's requests, trying again");
                    self.notice(index, now);
                }
            }
        }
        reaped
    }
}

fn open(dir: &ExchangeDir, index: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(dir.folder(layout::REQUESTS)?, layout::proxy_folder(index), flags, Mode::empty())?)
}

fn lock(dir: &ExchangeDir, index: u32) -> io::Result<Option<(LockFile, OwnedFd)>> {
    let fd = open(dir, index)?;
    Ok(LockFile::try_take(&fd, layout::LOCK)?.map(|lock| (lock, fd)))
}

fn empty(dir: &ExchangeDir, index: u32, fd: &OwnedFd) {
    if let Err(error) = dir.sweep(fd, &[]) {
        tracing::warn!(proxy = index, %error, "cannot remove what was not finished");
    }
    for name in dir.names(fd, limits::REQUESTS).unwrap_or_default() {
        if name != layout::LOCK
            && let Err(error) = dir.remove(fd, &name)
        {
            tracing::warn!(proxy = index, name, %error, "cannot remove a request");
        }
    }
}

fn remove(dir: &ExchangeDir, index: u32) {
    if let Ok(requests) = dir.folder(layout::REQUESTS) {
        // Another proxy may have moved in meanwhile; then it is not empty, and stays.
        let _ = rustix::fs::unlinkat(requests, layout::proxy_folder(index), AtFlags::REMOVEDIR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_folder_without_a_living_owner_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ExchangeDir::open(folder.path()).unwrap();
        dir.ensure_layout().unwrap();
        let first = OwnFolder::take(&dir).unwrap();
        let second = OwnFolder::take(&dir).unwrap();
        assert_eq!((first.index, second.index), (0, 1));
        assert_eq!(others(&dir, Some(0)).unwrap(), [1]);
        assert!(lives(&dir, 1));
        let id = RequestId::of("x", &Default::default());
        first.put(&dir, id, b"{}").unwrap();

        // The first dies: its folder stays for a successor, which finds the request again.
        drop(first);
        let now = Instant::now();
        let mut orphans = Orphans::default();
        orphans.notice(0, now);
        orphans.notice(1, now);
        assert_eq!(orphans.due(), Some(now + ORPHAN_GRACE));
        let successor = OwnFolder::take(&dir).unwrap();
        assert_eq!((successor.index, successor.requests(&dir).unwrap()), (0, vec![id]));
        assert!(!orphans.reap(&dir, now + ORPHAN_GRACE));
        assert_eq!(successor.requests(&dir).unwrap(), [id]);

        // It dies too, and nobody comes.
        drop(successor);
        orphans.notice(0, now);
        assert!(orphans.reap(&dir, now + ORPHAN_GRACE));
        assert_eq!(others(&dir, None).unwrap(), [1]);
        second.leave(&dir);
        assert_eq!(others(&dir, None).unwrap(), [0; 0]);
    }

    /// A process that is killed while it writes leaves half a file under a name of its own.
    #[test]
    fn what_a_killed_proxy_did_not_finish_is_swept_by_its_successor_and_by_who_buries_it() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ExchangeDir::open(folder.path()).unwrap();
        dir.ensure_layout().unwrap();
        let half = |index: u32| folder.path().join(format!("requests/proxy-{index}/.half.json.mark"));
        drop(OwnFolder::take(&dir).unwrap());
        std::fs::write(half(0), "{").unwrap();
        let first = OwnFolder::take(&dir).unwrap();
        assert!(!half(0).exists());

        drop(OwnFolder::take(&dir).unwrap());
        std::fs::write(half(1), "{").unwrap();
        let (mut orphans, now) = (Orphans::default(), Instant::now());
        orphans.notice(1, now);
        assert!(orphans.reap(&dir, now + ORPHAN_GRACE));
        assert_eq!(others(&dir, None).unwrap(), [0]);
        first.leave(&dir);
    }
}
