//! Directories outside the exchange whose changes wake the handler. What is in them is the handler's to know.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::inotify::WatchFlags;

use crate::burst::Burst;
use crate::inotify::{Event, Inotify, Watch};

/// How often it is tried again to watch a directory that is not there. Only while one is missing.
const AGAIN: Duration = Duration::from_secs(5);
/// Names that begin so are files still being written, for udevd and most other writers as well.
const TEMPORARY_PREFIX: u8 = b'.';

/// So many batches of events about temporary names alone are listened to in a row; then it is a flood, too.
const NOISE: u32 = 64;

/// The directories, and the burst of changes that goes on in them.
#[derive(Debug)]
pub(super) struct Wakes {
    /// An instance of its own: a flood here costs the exchange no event.
    inotify: Inotify,
    watches: HashMap<Watch, PathBuf>,
    missing: Vec<PathBuf>,
    retry: Option<Instant>,
    burst: Burst,
    noise: u32,
}

impl Wakes {
    /// Begins to watch.
    pub(super) fn new(directories: &[PathBuf]) -> io::Result<Self> {
        let mut wakes = Self {
            inotify: Inotify::new()?,
            watches: HashMap::new(),
            missing: directories.to_vec(),
            retry: None,
            burst: Burst::default(),
            noise: 0,
        };
        wakes.find_missing(Instant::now());
        for path in &wakes.missing {
            tracing::warn!(path = %path.display(), "cannot watch this directory yet: is it mounted into the proxy's container?");
        }
        Ok(wakes)
    }

    /// Waits for changes, unless a burst goes on: then it is looked at when it is due, and nobody listens until then.
    pub(super) async fn events(&self) -> io::Result<Vec<Event>> {
        if self.burst.due().is_some() {
            std::future::pending::<()>().await;
        }
        self.inotify.events().await
    }

    /// When to look by oneself.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.burst.due(), self.retry].into_iter().flatten().min()
    }

    /// Changes came while all was quiet. They are told when it is time to look.
    pub(super) fn changed(&mut self, events: &[Event], now: Instant) {
        let changed = self.take(events, now);
        // A temporary file is about to become something: who went deaf now would hear of it late.
        self.noise = if changed { 0 } else { self.noise + 1 };
        if changed || self.noise > NOISE {
            self.noise = 0;
            self.burst.begin(changed, now);
        }
    }

    /// It was time to look. Whether to wake the handler.
    pub(super) fn on_time(&mut self, now: Instant) -> bool {
        let mut found = false;
        if self.retry.is_some_and(|retry| retry <= now) {
            found = self.find_missing(now);
        }
        if self.burst.due().is_some_and(|due| due <= now) {
            let events = self.inotify.waiting().unwrap_or_default();
            let changed = self.take(&events, now);
            found |= self.burst.looked(changed, now);
        }
        found
    }

    /// Whether any of these is a change.
    fn take(&mut self, events: &[Event], now: Instant) -> bool {
        let mut changed = false;
        for event in events {
            if event.ended
                && let Some(path) = event.watch.and_then(|watch| self.watches.remove(&watch))
            {
                tracing::warn!(path = %path.display(), "a directory that wakes the handler is gone, waiting for it");
                self.missing.push(path);
                self.retry = Some(now);
            }
            let temporary = event.name.as_deref().is_some_and(is_temporary);
            changed |= !temporary;
        }
        changed
    }

    /// Watches what was not there before. Whether something is there now.
    fn find_missing(&mut self, now: Instant) -> bool {
        let before = self.missing.len();
        let (inotify, watches) = (&self.inotify, &mut self.watches);
        self.missing.retain(|path| match watch(inotify, path) {
            Ok(watch) => {
                tracing::info!(path = %path.display(), "changes here wake the handler");
                watches.insert(watch, path.clone());
                false
            }
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "cannot watch this directory");
                true
            }
        });
        self.retry = (!self.missing.is_empty()).then_some(now + AGAIN);
        self.missing.len() < before
    }
}

fn watch(inotify: &Inotify, path: &Path) -> io::Result<Watch> {
    let gone = WatchFlags::DELETE | WatchFlags::MOVED_FROM;
    inotify.add(path, gone | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE)
}

fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&TEMPORARY_PREFIX)
}
