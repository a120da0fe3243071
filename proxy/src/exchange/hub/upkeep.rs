//! What happens in the directory, and putting back what is missing there.

use std::collections::BTreeSet;
use std::io;
use std::time::Instant;

use akri_exchange::{RequestId, Wake, layout};
use rustix::fs::inotify::WatchFlags;

use super::{FIRST_MEND, Hub, LONGEST_MEND, Place};
use crate::exchange::ExchangeDir;
use crate::exchange::folder::{self, OwnFolder};
use crate::inotify::Event;
use crate::state::Condition;

impl Hub {
    pub(super) fn changed(&mut self, events: &[Event]) {
        let mut answers = BTreeSet::new();
        let (mut inputs, mut hello, mut damaged) = (false, false, false);
        for event in events {
            if event.overflow {
                damaged = true;
                continue;
            }
            if event.ended {
                // Of another proxy it only means that it left; of our own folders, that somebody removed them.
                let place = event.watch.and_then(|watch| self.watches.remove(&watch));
                damaged |= !matches!(place, None | Some(Place::Peer(_) | Place::PeerFolder));
                continue;
            }
            let name = event.name.as_deref().and_then(|name| name.to_str()).unwrap_or_default();
            match event.watch.and_then(|watch| self.watches.get(&watch)) {
                Some(Place::Answers) => answers.extend(layout::request_id(name)),
                Some(Place::Inputs) => inputs |= !name.starts_with(layout::TEMPORARY_PREFIX),
                Some(Place::Root) if name == layout::HELLO => hello = true,
                Some(Place::Root) => {
                    let ours = [layout::WAKE, layout::REQUESTS, layout::ANSWERS, layout::INPUTS];
                    damaged |= name.is_empty() || ours.contains(&name);
                }
                Some(Place::Requests | Place::PeerFolder) => self.meet_peers(),
                // What this proxy takes down itself belongs to no job any more.
                Some(Place::Own(index)) if *index == self.own.index => {
                    let needed = |id| self.jobs.contains_key(&id);
                    damaged |= name == layout::LOCK || layout::request_id(name).is_some_and(needed);
                }
                Some(Place::Peer(index)) => self.orphans.notice(*index, Instant::now()),
                Some(Place::Own(_)) | None => {}
            }
        }
        if damaged {
            self.mend();
        }
        if hello {
            self.meet_handler();
        }
        answers.into_iter().for_each(|id| self.answered(id));
        if inputs {
            tracing::debug!("an input changed");
            self.ring(Wake::Everything);
        }
    }

    pub(super) fn watch(&mut self) -> io::Result<()> {
        let path = self.dir.path().to_owned();
        let renamed = WatchFlags::MOVED_TO;
        let gone = WatchFlags::DELETE | WatchFlags::MOVED_FROM;
        let written = renamed | gone | WatchFlags::CLOSE_WRITE;
        let own = format!("{}/{}", layout::REQUESTS, layout::proxy_folder(self.own.index));
        for (name, place, flags) in [
            ("", Place::Root, renamed | gone),
            (layout::ANSWERS, Place::Answers, renamed),
            (layout::INPUTS, Place::Inputs, written),
            (layout::REQUESTS, Place::Requests, WatchFlags::CREATE),
            (own.as_str(), Place::Own(self.own.index), gone),
        ] {
            let watch = self.inotify.add(&path.join(name), flags)?;
            self.watches.insert(watch, place);
        }
        self.forget_former();
        self.meet_peers();
        Ok(())
    }

    /// Where this proxy had to take another folder, its former one may have survived as somebody else's, and the lock that it
    /// has now may have been somebody else's: neither is watched as what it was.
    fn forget_former(&mut self) {
        let own = self.own.index;
        let former = |place: &Place| match place {
            Place::Own(index) => *index != own,
            Place::Peer(index) => *index == own,
            _ => false,
        };
        let inotify = &self.inotify;
        self.watches.retain(|watch, place| {
            let former = former(place);
            if former {
                inotify.remove(*watch);
            }
            !former
        });
    }

    /// Watches the locks of the other proxies.
    fn meet_peers(&mut self) {
        let others = match folder::others(&self.dir, Some(self.own.index)) {
            Ok(others) => others,
            Err(error) => return self.mend_later(&error),
        };
        for index in others {
            let folder = self.dir.path().join(layout::REQUESTS).join(layout::proxy_folder(index));
            // A proxy makes its folder, then its lock; between the two its lock is not there yet.
            let lock = || self.inotify.add_file(&folder.join(layout::LOCK), WatchFlags::CLOSE_WRITE);
            if let Ok(watch) = lock() {
                self.watches.insert(watch, Place::Peer(index));
                continue;
            }
            // Once is enough: then its lock is watched.
            let Ok(made) = self.inotify.add(&folder, WatchFlags::CREATE | WatchFlags::ONESHOT) else {
                continue;
            };
            // It may have been made just before that.
            let watched = match lock() {
                Ok(watch) => {
                    self.inotify.remove(made);
                    (watch, Place::Peer(index))
                }
                Err(_) => (made, Place::PeerFolder),
            };
            self.watches.extend([watched]);
        }
    }

    /// Something is not as it should be: puts everything back that is ours, and looks at everything again.
    pub(super) fn mend(&mut self) {
        self.mend_at = None;
        if let Err(error) = self.put_back() {
            return self.mend_later(&error);
        }
        let unmet = std::mem::take(&mut self.unmet);
        if unmet || !self.bell.as_ref().is_some_and(|bell| bell.is_current(&self.dir)) {
            // A handler that waits at a FIFO which is gone hears this last ring and comes to the new one.
            if let Some(bell) = self.bell.take() {
                bell.ring(Wake::Everything);
                self.set_condition(Condition::Gone);
            }
            self.meet_handler();
        }
        let ids: Vec<RequestId> = self.jobs.keys().copied().collect();
        ids.into_iter().for_each(|id| self.answered(id));
        if self.mend_at.is_none() && std::mem::replace(&mut self.mend_pause, FIRST_MEND) != FIRST_MEND {
            tracing::info!("the exchange directory is in order again");
        }
        self.ring(Wake::Everything);
    }

    /// Something of ours could not be done: it is tried again, and told once until it goes well.
    pub(super) fn mend_later(&mut self, error: &io::Error) {
        if self.mend_pause == FIRST_MEND {
            tracing::error!(%error, "cannot keep the exchange directory in order, trying again until it can be done");
        }
        self.mend_at = Some(Instant::now() + self.mend_pause);
        self.mend_pause = (self.mend_pause * 2).min(LONGEST_MEND);
    }

    fn put_back(&mut self) -> io::Result<()> {
        if !self.dir.is_current() {
            self.dir = ExchangeDir::open(&self.config.exchange)?;
            tracing::warn!("the exchange directory is another one now");
        }
        self.dir.ensure_layout()?;
        if !self.own.is_current(&self.dir) {
            tracing::warn!("the requests of this proxy were taken away, putting them back");
            self.own = OwnFolder::take(&self.dir)?;
            self.inherit(Instant::now())?;
            let index = self.own.index;
            self.shared.update(|state| state.proxy = index);
        }
        let there = self.own.requests(&self.dir)?;
        for (id, job) in &self.jobs {
            if !there.contains(id) {
                self.own.put(&self.dir, *id, &job.request)?;
            }
        }
        self.watch()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, rename};
    use std::path::Path;
    use std::time::Duration;

    use rustix::fs::{FlockOperation, flock};

    use super::*;
    use crate::exchange::hub::HubConfig;
    use crate::metrics::Metrics;
    use crate::policy::Policy;
    use crate::state::{Shared, State};

    fn hub(exchange: &Path) -> Hub {
        let config = HubConfig {
            exchange: exchange.to_owned(),
            policy: Policy::default(),
            removal_grace: None,
            wake_on: Vec::new(),
            answer_deadline: Duration::from_secs(10),
            name: None,
        };
        Hub::open(config, Shared::new(State::default()), Metrics::new()).unwrap().0
    }

    /// Its folder stays, but the lock in it is another process's from now on.
    fn taken_over(exchange: &Path, index: u32) -> File {
        let folder = exchange.join(layout::REQUESTS).join(layout::proxy_folder(index));
        let lock = File::create(folder.join("new")).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        rename(folder.join("new"), folder.join(layout::LOCK)).unwrap();
        lock
    }

    fn places(hub: &Hub) -> Vec<String> {
        let mut places: Vec<String> = hub.watches.values().map(|place| format!("{place:?}")).collect();
        places.sort();
        // What the kernel watches is what is known here.
        assert_eq!(hub.inotify.watches(), places.len());
        places
    }

    #[tokio::test]
    async fn a_folder_that_became_another_proxys_is_not_watched_as_our_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut hub = hub(folder.path());
        assert_eq!(places(&hub), ["Answers", "Inputs", "Own(0)", "Requests", "Root"]);
        let _other = taken_over(folder.path(), 0);
        hub.mend();
        assert_eq!(places(&hub), ["Answers", "Inputs", "Own(1)", "Peer(0)", "Requests", "Root"]);
    }

    #[tokio::test]
    async fn a_dead_proxys_lock_that_became_ours_is_not_watched_as_its() {
        let folder = tempfile::tempdir().unwrap();
        let mut hub = hub(folder.path());
        let dead = OwnFolder::take(&hub.dir).unwrap();
        hub.mend();
        assert_eq!(places(&hub), ["Answers", "Inputs", "Own(0)", "Peer(1)", "Requests", "Root"]);
        drop(dead);
        let _other = taken_over(folder.path(), 0);
        hub.mend();
        assert_eq!(places(&hub), ["Answers", "Inputs", "Own(1)", "Peer(0)", "Requests", "Root"]);
    }
}
