//! One discovery job: what was asked, what was answered, and what the streams see of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use akri_exchange::{Failure, FailureKind};
use tokio::sync::watch;

use crate::list::{Draft, List};
use crate::removals::Removals;
use crate::room::Room;

/// What the streams of a job see.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The list to tell the agent; `None` until there is one.
    pub(crate) list: Option<Arc<List>>,
    /// The handler refuses the details, and never had a list for them.
    pub(crate) invalid: Option<Arc<str>>,
}

impl View {
    /// Whether the handler has said anything that decides how a Discover goes on.
    pub(crate) fn is_decided(&self) -> bool {
        self.list.is_some() || self.invalid.is_some()
    }
}

/// A job, for as long as some stream of this proxy wants it.
#[derive(Debug)]
pub(crate) struct Job {
    /// The request file's bytes, to put up again should somebody take it down.
    pub(crate) request: Arc<[u8]>,
    /// Streams, and Discovers that wait for the first answer.
    pub(crate) users: usize,
    view: watch::Sender<View>,
    removals: Removals,
    /// Since when an answer is awaited; `None` when the handler owes none.
    pub(crate) awaited: Option<Instant>,
    /// The handler's last failure, cleared by the next list.
    pub(crate) failure: Option<Arc<str>>,
}

impl Job {
    pub(crate) fn new(request: Arc<[u8]>, now: Instant) -> Self {
        let view = watch::Sender::new(View::default());
        Self { request, users: 0, view, removals: Removals::default(), awaited: Some(now), failure: None }
    }

    pub(crate) fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// How many devices the agent is told of; `None` where it was told nothing yet.
    pub(crate) fn devices(&self) -> Option<usize> {
        self.view.borrow().list.as_ref().map(|list| list.devices())
    }

    /// Bytes of the list that the agent is told.
    pub(crate) fn bytes(&self) -> usize {
        self.view.borrow().list.as_ref().map_or(0, |list| list.bytes())
    }

    /// The handler has a list.
    pub(crate) fn listed(&mut self, list: Draft, grace: Duration, now: Instant) {
        self.awaited = None;
        self.failure = None;
        let shown = self.removals.take(list, grace, now);
        self.show(shown);
    }

    /// The handler has none. The last list stands.
    pub(crate) fn failed(&mut self, failure: Failure) {
        self.awaited = None;
        let text: Arc<str> = failure.to_string().into();
        let invalid = (failure.kind == FailureKind::InvalidDetails).then(|| text.clone());
        self.view.send_if_modified(|view| {
            let changed = view.list.is_none() && view.invalid != invalid;
            if changed {
                view.invalid = invalid;
            }
            changed
        });
        self.failure = Some(text);
    }

    /// When a held removal is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.removals.due()
    }

    /// Tells the removals that are due. Whether there were any.
    pub(crate) fn expire(&mut self, now: Instant, room: &Room) -> bool {
        let Some(shown) = self.removals.expire(now, room) else { return false };
        self.show(shown);
        true
    }

    /// Unchanged lists wake no stream.
    fn show(&self, shown: Arc<List>) {
        self.view.send_if_modified(|view| {
            let changed = view.list.as_ref() != Some(&shown) || view.invalid.is_some();
            // Where the list is the same, the bytes that were there before are let go of.
            *view = View { list: Some(shown), invalid: None };
            changed
        });
    }
}
