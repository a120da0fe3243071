//! The wait, under WASI: `poll_oneoff` on the FIFO and a clock.

use std::io;
use std::time::Duration;

use akri_exchange::layout;

use crate::directory::{Directory, File, error};

/// The FIFO that the proxy rings.
pub(crate) struct Doorbell(File);

impl Doorbell {
    /// Opens the FIFO; `None` where no proxy has made it yet.
    pub(crate) fn open(directory: &Directory) -> io::Result<Option<Self>> {
        let Some(fifo) = directory.fifo(layout::WAKE)? else { return Ok(None) };
        // WASI has no word for a FIFO. What it has one for is none.
        if matches!(fifo.stat()?.filetype, wasi::FILETYPE_REGULAR_FILE | wasi::FILETYPE_DIRECTORY) {
            return Err(super::files::no_fifo());
        }
        Ok(Some(Self(fifo)))
    }

    /// Whether the FIFO under the name is still the one that is open.
    pub(crate) fn is_current(&self, directory: &Directory) -> bool {
        match (directory.stat(layout::WAKE), self.0.stat()) {
            (Ok(named), Ok(open)) => (named.dev, named.ino) == (open.dev, open.ino),
            _ => false,
        }
    }

    /// Waits for a byte, at most `timeout`. The bytes read; none where the time ran out.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, bytes: &mut [u8]) -> io::Result<usize> {
        if self.rung(timeout)? { self.0.read(bytes) } else { Ok(0) }
    }

    fn rung(&self, timeout: Option<Duration>) -> io::Result<bool> {
        const FIFO: u64 = 1;
        let fifo = wasi::Subscription {
            userdata: FIFO,
            u: wasi::SubscriptionU {
                tag: wasi::EVENTTYPE_FD_READ.raw(),
                u: wasi::SubscriptionUU {
                    fd_read: wasi::SubscriptionFdReadwrite { file_descriptor: self.0.descriptor() },
                },
            },
        };
        let subscriptions = [fifo, clock(timeout.unwrap_or_default())];
        let count = if timeout.is_some() { 2 } else { 1 };
        let mut events = [const { std::mem::MaybeUninit::<wasi::Event>::zeroed() }; 2];
        // SAFETY: both arrays hold at least `count` elements, and an all-zero event is a valid one.
        let happened =
            unsafe { wasi::poll_oneoff(subscriptions.as_ptr(), events.as_mut_ptr().cast(), count) };
        let happened = match happened {
            // The engine was stopped and let go: nothing has happened, and the next turn waits again.
            Err(wasi::ERRNO_INTR) => 0,
            happened => happened.map_err(error)?,
        };
        // An event may tell of an error instead, where a signal cut the wait short for one: a read would then block, and for
        // as long as nobody rings.
        Ok(events.iter().take(happened).any(|event| {
            // SAFETY: zeroed above, and the engine wrote the first `happened` of them.
            let event = unsafe { event.assume_init_ref() };
            event.userdata == FIFO && event.error == wasi::ERRNO_SUCCESS
        }))
    }
}

/// Sleeps, perhaps for a shorter time. Not by std, which panics where a signal to the engine cuts the sleep short.
pub(crate) fn pause(time: Duration) {
    let mut event = std::mem::MaybeUninit::<wasi::Event>::zeroed();
    // SAFETY: one subscription, and room for its one event. Who calls this looks and comes again, so no error matters.
    let _ = unsafe { wasi::poll_oneoff(&clock(time), event.as_mut_ptr(), 1) };
}

fn clock(timeout: Duration) -> wasi::Subscription {
    wasi::Subscription {
        userdata: 0,
        u: wasi::SubscriptionU {
            tag: wasi::EVENTTYPE_CLOCK.raw(),
            u: wasi::SubscriptionUU {
                clock: wasi::SubscriptionClock {
                    id: wasi::CLOCKID_MONOTONIC,
                    timeout: u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX),
                    precision: 0,
                    flags: 0,
                },
            },
        },
    }
}
