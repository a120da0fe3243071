//! One Discover stream: the job's newest list whenever it changes, and the first days' repetitions.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use akri_exchange::RequestId;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use crate::clock;
use crate::exchange::Subscription;
use crate::list::List;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::state::Shared;

/// Full lists, one after the other.
pub(crate) type Lists = Pin<Box<dyn Stream<Item = Arc<List>> + Send>>;

/// How streams repeat themselves.
#[derive(Clone, Debug)]
pub(crate) struct StreamConfig {
    /// Times after a stream's first list at which the current one is told again: it heals the Instances that the agent
    /// itself loses (its reconcile deletes what a list just brought). In ascending order.
    pub(crate) repeat: Vec<Duration>,
}

/// Counts a stream for as long as it lives.
struct Counted {
    job: RequestId,
    shared: Shared,
    waiting: bool,
}

impl Counted {
    fn new(job: RequestId, shared: Shared) -> Self {
        shared.update(|state| {
            state.streams.open += 1;
            state.streams.waiting += 1;
            state.streams.total += 1;
        });
        tracing::info!(%job, "stream opens");
        Self { job, shared, waiting: true }
    }

    fn told(&mut self) {
        if std::mem::take(&mut self.waiting) {
            self.shared.update(|state| state.streams.waiting -= 1);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let waiting = u64::from(self.waiting);
        self.shared.update(|state| {
            state.streams.open -= 1;
            state.streams.waiting -= waiting;
        });
        tracing::info!(job = %self.job, "stream closes");
    }
}

struct Telling {
    subscription: Subscription,
    config: Arc<StreamConfig>,
    counted: Counted,
    metrics: Metrics,
    last: Option<Arc<List>>,
    first_at: Option<Instant>,
    repeated: usize,
}

/// The lists of a job, as a stream. It is asked for the next one only when the last one went out: a slow agent gets the
/// newest list, and nothing piles up. It never fails, and ends only when the proxy leaves.
pub(crate) fn lists(
    subscription: Subscription,
    config: Arc<StreamConfig>,
    shared: Shared,
    metrics: Metrics,
    shutdown: Shutdown,
) -> Lists {
    let telling = Telling {
        counted: Counted::new(subscription.id, shared),
        subscription,
        config,
        metrics,
        last: None,
        first_at: None,
        repeated: 0,
    };
    let lists = unfold(telling, async |mut telling| {
        let list = telling.next().await?;
        Some((list, telling))
    });
    Box::pin(lists.take_until(async move { shutdown.begun().await }))
}

impl Telling {
    /// Waits for the next list to tell. `None` when the hub is gone, which is when the proxy leaves.
    async fn next(&mut self) -> Option<Arc<List>> {
        loop {
            let list = self.subscription.view.borrow_and_update().list.clone();
            let news = match (&list, &self.last) {
                (Some(list), Some(last)) => !Arc::ptr_eq(list, last),
                (Some(_), None) => true,
                (None, _) => false,
            };
            let now = Instant::now();
            let repeat_at =
                self.first_at.and_then(|first| Some(first + *self.config.repeat.get(self.repeated)?));
            let repeat = repeat_at.is_some_and(|at| at <= now);
            if repeat {
                self.repeated += 1;
            }
            if news || repeat {
                self.first_at.get_or_insert(now);
                self.counted.told();
                self.metrics.messages.inc();
                self.last.clone_from(&list);
                return list;
            }
            tokio::select! {
                changed = self.subscription.view.changed() => changed.ok()?,
                () = clock::at(repeat_at) => {}
            }
        }
    }
}
