//! Akri's `DiscoveryHandler` service: from a Discover to a stream of lists, or the status that says why there is none.

use std::sync::Arc;
use std::time::Duration;

use akri_exchange::Properties;
use tonic::Status;
use tracing::Instrument;

use crate::exchange::{self, HubHandle};
use crate::metrics::Metrics;
use crate::pb;
use crate::shutdown::Shutdown;
use crate::state::Shared;
use crate::stream::{self, Lists, StreamConfig};

/// Answers Discover by the hub's jobs.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) hub: HubHandle,
    pub(crate) shared: Shared,
    pub(crate) metrics: Metrics,
    pub(crate) streams: Arc<StreamConfig>,
    /// How long the headers may wait for a living handler's first answer.
    pub(crate) first_answer: Duration,
    pub(crate) shutdown: Shutdown,
}

impl Service {
    /// Joins or begins the job of a request, and gives its lists.
    pub(crate) async fn discover(&self, request: pb::DiscoverRequest) -> Result<Lists, Status> {
        let pb::DiscoverRequest { discovery_details, discovery_properties } = request;
        let properties: Properties =
            discovery_properties.into_iter().map(|(name, data)| (name, data.vec)).collect();
        let request = exchange::request(discovery_details, properties);
        let id = request.id();
        let bytes = request.to_json().map_err(|error| Status::invalid_argument(error.to_string()))?;
        let span = tracing::info_span!("discover", job = %id);
        async {
            let mut subscription =
                self.hub.subscribe(id, bytes.into()).await.ok_or_else(|| {
                    Status::unavailable("the proxy is leaving, or has too many discovery jobs")
                })?;
            // The agent holds a lock until the headers come: they wait for a first word only from a handler that lives,
            // and not for long. What comes later comes on the stream.
            if subscription.handler_alive {
                let decided = subscription.view.wait_for(exchange::View::is_decided);
                let _ = tokio::time::timeout(self.first_answer, decided).await;
            }
            if let Some(failure) = &subscription.view.borrow().invalid {
                tracing::warn!(%failure, "the handler refuses the details");
                return Err(Status::invalid_argument(&**failure));
            }
            let (streams, shared) = (self.streams.clone(), self.shared.clone());
            let (metrics, shutdown) = (self.metrics.clone(), self.shutdown.clone());
            Ok(stream::lists(subscription, streams, shared, metrics, shutdown))
        }
        .instrument(span)
        .await
    }
}
