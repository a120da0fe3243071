//! The way to the hub, for streams: joining a job, and letting go of it.

use std::sync::Arc;

use akri_exchange::RequestId;
use tokio::sync::{mpsc, oneshot, watch};

use crate::exchange::job::View;

/// Commands that wait while the hub is busy; a Discover beyond them waits to send its own.
pub(super) const COMMANDS: usize = 64;

/// A stream's hold on a job. The job ends when the last one is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) id: RequestId,
    pub(crate) view: watch::Receiver<View>,
    /// Whether a handler lives that could answer.
    pub(crate) handler_alive: bool,
    pub(super) _release: Release,
}

#[derive(Debug)]
pub(super) struct Release {
    pub(super) id: RequestId,
    pub(super) released: mpsc::UnboundedSender<RequestId>,
}

impl Drop for Release {
    fn drop(&mut self) {
        // When the hub is gone there is no job left to end.
        let _ = self.released.send(self.id);
    }
}

/// The way to the hub.
#[derive(Clone, Debug)]
pub(crate) struct HubHandle {
    pub(super) commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) id: RequestId,
    pub(super) request: Arc<[u8]>,
    pub(super) reply: oneshot::Sender<Option<Subscription>>,
}

impl HubHandle {
    /// Joins the job of a request, or begins it. `None` where there is no hub, or no room for another job.
    pub(crate) async fn subscribe(&self, id: RequestId, request: Arc<[u8]>) -> Option<Subscription> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command { id, request, reply }).await.ok()?;
        answer.await.ok()?
    }
}
