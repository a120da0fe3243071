//! Room for lists: how many bytes all of them may have that are alive together, whoever holds them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;
use tokio::sync::Notify;

/// Room for the lists of a proxy. Whoever holds one, be it a job or a stream that has not sent it yet, holds a part.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Whole>);

#[derive(Debug)]
struct Whole {
    left: AtomicUsize,
    freed: Notify,
}

/// A part of the room; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    room: Room,
    bytes: usize,
    /// Whether who waits for room is told when this is dropped.
    told: bool,
}

/// There is no room.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("there is no room for another list of this size beside those that are held")]
pub(crate) struct Full;

impl Room {
    /// Room for so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Whole { left: AtomicUsize::new(bytes), freed: Notify::new() }))
    }

    /// A part that is empty yet.
    pub(crate) fn share(&self) -> Share {
        Share { room: self.clone(), bytes: 0, told: false }
    }

    /// Waits until something that was kept is dropped, or returns at once where that happened since the last wait.
    pub(crate) async fn freed(&self) {
        self.0.freed.notified().await;
    }
}

impl Share {
    /// Makes it larger by so many bytes, or leaves it as it is where there is no room.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let left = &self.room.0.left;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes))
            .map_err(|_| Full)?;
        self.bytes += bytes;
        Ok(())
    }

    /// It is there to stay: its end will be of interest to who waits for room. That of a trial that found none is not,
    /// for then trials would wake each other.
    pub(crate) fn keep(&mut self) {
        self.told = true;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.0.left.fetch_add(self.bytes, Ordering::Relaxed);
        if self.told {
            self.room.0.freed.notify_one();
        }
    }
}
