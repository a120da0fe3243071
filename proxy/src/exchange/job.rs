//! One discovery job: what was asked, what was answered, and what the streams see of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use akri_exchange::{Device, Failure, FailureKind};
use prost::Message;
use tokio::sync::watch;

use crate::akri::MAX_RESPONSE_BYTES;
use crate::pb;
use crate::removals::Removals;

/// Bytes that the protobuf of a list may have: the agent's limit, less what gRPC adds.
pub(crate) const MAX_LIST_BYTES: usize = MAX_RESPONSE_BYTES - 1024;

/// What the streams of a job see.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The list to tell the agent; `None` until there is one.
    pub(crate) list: Option<Arc<pb::DiscoverResponse>>,
    /// The handler refuses the details, and never had a list for them.
    pub(crate) invalid: Option<Failure>,
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
    pub(crate) failure: Option<Failure>,
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
        self.view.borrow().list.as_ref().map(|list| list.devices.len())
    }

    /// The handler has a list.
    pub(crate) fn listed(&mut self, list: Vec<Device>, grace: Duration, now: Instant) {
        self.awaited = None;
        self.failure = None;
        let mut shown = response(self.removals.take(list, grace, now));
        if shown.encoded_len() > MAX_LIST_BYTES {
            // The list alone fits, that was checked; with what is held back it would be more than the agent takes.
            tracing::warn!("no room to hold removals back: telling them at once");
            shown = response(self.removals.let_go());
        }
        self.show(shown);
    }

    /// The handler has none. The last list stands.
    pub(crate) fn failed(&mut self, failure: Failure) {
        self.awaited = None;
        let invalid = (failure.kind == FailureKind::InvalidDetails).then(|| failure.clone());
        self.view.send_if_modified(|view| {
            let changed = view.list.is_none() && view.invalid != invalid;
            if changed {
                view.invalid = invalid;
            }
            changed
        });
        self.failure = Some(failure);
    }

    /// When a held removal is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.removals.due()
    }

    /// Tells the removals that are due. Whether there were any.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let Some(shown) = self.removals.expire(now).map(response) else { return false };
        self.show(shown);
        true
    }

    /// Unchanged lists wake no stream.
    fn show(&self, shown: pb::DiscoverResponse) {
        self.view.send_if_modified(|view| {
            let changed = view.list.as_deref() != Some(&shown) || view.invalid.is_some();
            if changed {
                *view = View { list: Some(Arc::new(shown)), invalid: None };
            }
            changed
        });
    }
}

/// The message that tells the agent of a list.
pub(crate) fn response(devices: &[Device]) -> pb::DiscoverResponse {
    pb::DiscoverResponse { devices: devices.iter().map(pb::Device::from).collect() }
}
