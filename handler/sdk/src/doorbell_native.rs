//! The wait, natively: `poll` on the FIFO. For handlers' tests and for running a handler without a wasm engine.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::Duration;

use akri_exchange::layout;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::directory::Directory;

/// The FIFO that the proxy rings.
pub(crate) struct Doorbell(File);

impl Doorbell {
    /// Opens the FIFO; `None` where no proxy has made it yet.
    pub(crate) fn open(directory: &Directory) -> io::Result<Option<Self>> {
        let Some(fifo) = directory.fifo(layout::WAKE)? else { return Ok(None) };
        if !fifo.metadata()?.file_type().is_fifo() {
            return Err(super::files::no_fifo());
        }
        Ok(Some(Self(fifo)))
    }

    /// Whether the FIFO under the name is still the one that is open.
    pub(crate) fn is_current(&self, directory: &Directory) -> bool {
        match (std::fs::metadata(directory.path(layout::WAKE)), self.0.metadata()) {
            (Ok(named), Ok(open)) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
            _ => false,
        }
    }

    /// Waits for a byte, at most `timeout`. The bytes read; none where the time ran out.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, bytes: &mut [u8]) -> io::Result<usize> {
        let timeout = timeout.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(0),
            Ok(_) => self.0.read(bytes),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Sleeps.
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
