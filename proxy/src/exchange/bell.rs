//! The FIFO, from the side that rings it.

use std::io;
use std::os::fd::OwnedFd;

use akri_exchange::{Wake, layout};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::ExchangeDir;
use crate::watched::watched;

/// The write end of the FIFO while a handler holds the read end.
#[derive(Debug)]
pub(crate) struct Bell {
    fifo: AsyncFd<OwnedFd>,
}

impl Bell {
    /// Opens the FIFO; `None` where nobody reads it, which is to say that no handler lives.
    pub(crate) fn open(dir: &ExchangeDir) -> io::Result<Option<Self>> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fifo = match openat(dir.root(), layout::WAKE, flags, Mode::empty()) {
            Ok(fifo) => fifo,
            Err(Errno::NXIO | Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        if FileType::from_raw_mode(fstat(&fifo)?.st_mode) != FileType::Fifo {
            return Ok(None);
        }
        Ok(Some(Self { fifo: watched(fifo, Interest::ERROR)? }))
    }

    /// Rings. Whether somebody holds the other end; whether anybody hears is told by [`Bell::unanswered`].
    pub(crate) fn ring(&self, wake: Wake) -> bool {
        // A full FIFO rings already. EPIPE, too, is no error here: `gone` will say so.
        rustix::io::write(self.fifo.get_ref(), &[wake.byte()]) != Err(Errno::PIPE)
    }

    /// Whether the handler has left bytes unread.
    pub(crate) fn unanswered(&self) -> bool {
        rustix::io::ioctl_fionread(self.fifo.get_ref()).is_ok_and(|bytes| bytes > 0)
    }

    /// Returns when the last reader is gone: the handler died, or left.
    pub(crate) async fn gone(&self) {
        // The kernel reports POLLERR on the write end then, and never before. An error of the wait itself can only mean
        // that the runtime is shutting down; there is nobody left to tell then.
        let _ = self.fifo.ready(Interest::ERROR).await;
    }

    /// Whether the FIFO under the name is still this one.
    pub(crate) fn is_current(&self, dir: &ExchangeDir) -> bool {
        let named = rustix::fs::statat(dir.root(), layout::WAKE, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        match (named, fstat(self.fifo.get_ref())) {
            (Ok(named), Ok(open)) => (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::time::Duration;

    #[tokio::test]
    async fn a_reader_is_rung_and_its_death_felt() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ExchangeDir::open(folder.path()).unwrap();
        dir.ensure_layout().unwrap();
        assert!(Bell::open(&dir).unwrap().is_none());
        let mut reader =
            std::fs::OpenOptions::new().read(true).write(true).open(folder.path().join("wake")).unwrap();
        let bell = Bell::open(&dir).unwrap().unwrap();
        bell.ring(Wake::Requests);
        assert!(bell.unanswered());
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [b'r']);
        assert!(!bell.unanswered() && bell.is_current(&dir));
        for _ in 0..100_000 {
            bell.ring(Wake::Everything);
        }
        assert!(tokio::time::timeout(Duration::from_millis(50), bell.gone()).await.is_err());
        drop(reader);
        tokio::time::timeout(Duration::from_secs(10), bell.gone()).await.unwrap();
        bell.ring(Wake::Requests);
    }
}
