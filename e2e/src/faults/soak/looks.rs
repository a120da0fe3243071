//! How often the handler has looked at its input. debugEcho reads it once for each Configuration, and nobody else does, so the
//! kernel tells what no file does: that a re-scan is done which found nothing new.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::faults::place::AVAILABILITY;

/// A watch on the folder of inputs.
#[derive(Debug)]
pub(super) struct Looks {
    inotify: OwnedFd,
    seen: u64,
}

impl Looks {
    /// Watches from now on.
    pub(super) fn at(inputs: &Path) -> anyhow::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // Both, though only one is counted: the kernel joins events that are alike and have nothing between them.
        inotify::add_watch(&inotify, inputs, WatchFlags::OPEN | WatchFlags::CLOSE_NOWRITE)
            .with_context(|| format!("cannot watch {}", inputs.display()))?;
        Ok(Self { inotify, seen: 0 })
    }

    /// How many there were so far.
    pub(super) fn seen(&mut self) -> anyhow::Result<u64> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                    anyhow::bail!("more happened to the inputs than the kernel keeps")
                }
                Ok(event) => {
                    let closed = event.events().contains(ReadFlags::CLOSE_NOWRITE);
                    let of_input =
                        event.file_name().is_some_and(|name| name.to_bytes() == AVAILABILITY.as_bytes());
                    self.seen += u64::from(closed && of_input);
                }
                Err(Errno::AGAIN) => return Ok(self.seen),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Waits until there were so many, or until the time is up; whether they came. Meanwhile nothing else here goes on: what
    /// the agent says waits in its pipe.
    pub(super) fn reach(&mut self, count: u64, limit: Duration) -> anyhow::Result<bool> {
        let until = Instant::now() + limit;
        while self.seen()? < count {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).context("a time that is too long")?;
            let mut events = [PollFd::new(&self.inotify, PollFlags::IN)];
            match poll(&mut events, Some(&left)) {
                Ok(0) => return Ok(false),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(true)
    }
}
