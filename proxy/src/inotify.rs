//! Waits for changes in directories without waking up for anything else.

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::watched::watched;

/// Room for a batch of events. More of them than fit are read by the next turn.
const BUFFER: usize = 4096;
/// Batches that are read at once without waiting: some thousand events. What is left is read the next time.
const TURNS: usize = 64;

/// An inotify instance.
#[derive(Debug)]
pub(crate) struct Inotify {
    fd: AsyncFd<OwnedFd>,
}

/// Which directory an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Watch(i32);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Where; `None` when events were lost ([`Event::overflow`]).
    pub(crate) watch: Option<Watch>,
    /// The entry in the directory; `None` for the directory itself.
    pub(crate) name: Option<OsString>,
    /// The kernel lost events: everything has to be looked at.
    pub(crate) overflow: bool,
    /// The watch is gone, with its directory.
    pub(crate) ended: bool,
}

impl Inotify {
    /// A new instance; needs a tokio runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { fd: watched(fd, tokio::io::Interest::READABLE)? })
    }

    /// Watches a directory. Adding one twice gives the same watch.
    pub(crate) fn add(&self, path: &Path, flags: WatchFlags) -> io::Result<Watch> {
        let flags = flags | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
        Ok(Watch(inotify::add_watch(self.fd.get_ref(), path, flags)?))
    }

    /// Watches one file.
    pub(crate) fn add_file(&self, path: &Path, flags: WatchFlags) -> io::Result<Watch> {
        Ok(Watch(inotify::add_watch(self.fd.get_ref(), path, flags | WatchFlags::DONT_FOLLOW)?))
    }

    /// Watches no longer.
    pub(crate) fn remove(&self, watch: Watch) {
        // One that is gone already is what was wanted.
        let _ = inotify::remove_watch(self.fd.get_ref(), watch.0);
    }

    /// How many the kernel has.
    #[cfg(test)]
    pub(crate) fn watches(&self) -> usize {
        use std::os::fd::AsRawFd;
        let info = format!("/proc/self/fdinfo/{}", self.fd.get_ref().as_raw_fd());
        std::fs::read_to_string(info).unwrap().lines().filter(|line| line.starts_with("inotify wd:")).count()
    }

    /// Waits for at least one event and reads what is there. Cancelling loses nothing.
    pub(crate) async fn events(&self) -> io::Result<Vec<Event>> {
        loop {
            let mut guard = self.fd.readable().await?;
            if let Ok(events) = guard.try_io(|fd| read(fd.get_ref())) {
                return events;
            }
        }
    }

    /// What is there already, without waiting: at most what the kernel's queue holds, of which equal events are one.
    pub(crate) fn waiting(&self) -> io::Result<Vec<Event>> {
        let mut all = Vec::new();
        for _ in 0..TURNS {
            match read(self.fd.get_ref()) {
                Ok(events) => all.extend(events),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

fn read(fd: &OwnedFd) -> io::Result<Vec<Event>> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut reader = Reader::new(fd, &mut buffer);
    let mut events = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => {
                let flags = event.events();
                events.push(Event {
                    watch: (event.wd() >= 0).then(|| Watch(event.wd())),
                    name: event.file_name().map(|name| OsString::from_vec(name.to_bytes().to_vec())),
                    overflow: flags.contains(ReadFlags::QUEUE_OVERFLOW),
                    ended: flags.contains(ReadFlags::IGNORED),
                });
            }
            Err(Errno::WOULDBLOCK) if events.is_empty() => return Err(io::ErrorKind::WouldBlock.into()),
            Err(Errno::WOULDBLOCK) => return Ok(events),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if reader.is_buffer_empty() {
            return Ok(events);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_are_told_by_watch_and_name() {
        let folder = tempfile::tempdir().unwrap();
        let inotify = Inotify::new().unwrap();
        let watch = inotify.add(folder.path(), WatchFlags::CREATE).unwrap();
        std::fs::write(folder.path().join("x"), "").unwrap();
        let events = inotify.events().await.unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].watch, events[0].name.as_deref()), (Some(watch), Some("x".as_ref())));
        std::fs::remove_dir_all(folder.path()).unwrap();
        let events = inotify.events().await.unwrap();
        assert!(events.iter().any(|event| event.ended));
    }
}
