//! Puts the parts together, lets them run, and ends them in order.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use akri_exchange::HandlerName;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Server;

use crate::exchange::{Hub, HubConfig, HubHandle};
use crate::grpc::DiscoveryServer;
use crate::metrics::Metrics;
use crate::pb::RegisterDiscoveryHandlerRequest;
use crate::policy::Policy;
use crate::registration::{self, Registrar};
use crate::service::Service;
use crate::shutdown::{Shutdown, shutdown};
use crate::slot::{Listener, Slot, SlotError};
use crate::state::{Shared, State};
use crate::stream::StreamConfig;
use crate::{accept, health, http};

/// All that `akri-proxy serve` can be told.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The directory of the agent's socket and of ours.
    pub directory: PathBuf,
    /// The name to register; `None` = the one that the handler announces.
    pub name: Option<HandlerName>,
    /// Serve on this address and, counted up by the proxy's number, this port, instead of on a socket.
    pub network: Option<(IpAddr, u16)>,
    /// The exchange directory.
    pub exchange: PathBuf,
    /// Directories whose changes wake the handler.
    pub wake_on: Vec<PathBuf>,
    /// Where the health service listens.
    pub health: Option<SocketAddr>,
    /// Where metrics and status are served.
    pub metrics: Option<SocketAddr>,
    /// Overrides the handler's grace time of removals.
    pub removal_grace: Option<Duration>,
    /// How long headers may wait for a living handler's first answer.
    pub first_answer: Duration,
    /// How long the handler may owe an answer.
    pub answer_deadline: Duration,
    /// When to tell a stream's list again, counted from its first; ascending.
    pub repeat: Vec<Duration>,
    /// How long connections may take to end.
    pub shutdown_grace: Duration,
    /// What the handler may hand out.
    pub policy: Policy,
}

/// The addresses that were bound: where a port was 0, the one that it became.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bound {
    /// The health service's.
    pub health: Option<SocketAddr>,
    /// The metrics'.
    pub metrics: Option<SocketAddr>,
}

/// Why the proxy cannot serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The exchange directory cannot be used.
    #[error("cannot use the exchange directory {path}")]
    Exchange {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no endpoint for the agent.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// An address cannot be had.
    #[error("cannot listen on {address} for {purpose} (choose another, or 'off')")]
    Listen {
        /// What was tried.
        address: SocketAddr,
        /// What for.
        purpose: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The agent's directory cannot be watched.
    #[error("cannot watch the discovery handlers' directory")]
    Watch(#[source] io::Error),
    /// The gRPC server failed.
    #[error("the server failed")]
    Server(#[from] tonic::transport::Error),
}

/// A task that ends with its owner.
struct Tied<T>(JoinHandle<T>);

impl<T> Drop for Tied<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves until `ending` begins; then closes the streams, removes the socket and asks the handler to stop.
/// `bound` is called once, when health and metrics listen.
///
/// # Errors
/// Where something that it needs cannot be had. What happens later to agent or handler is no error: it is waited out.
pub async fn serve(
    config: ServeConfig,
    ending: Shutdown,
    bound: impl FnOnce(Bound),
) -> Result<(), ServeError> {
    let shared = Shared::new(State {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        policy: Some(Arc::new(config.policy.clone())),
        ..State::default()
    });
    let metrics = Metrics::new();
    let hub_config = HubConfig {
        exchange: config.exchange.clone(),
        policy: config.policy.clone(),
        removal_grace: config.removal_grace,
        wake_on: config.wake_on.clone(),
        answer_deadline: config.answer_deadline,
        name: config.name.clone(),
    };
    let Some((hub, handle)) = opened(hub_config, &shared, &metrics, &ending)
        .await
        .map_err(|source| ServeError::Exchange { path: config.exchange.clone(), source })?
    else {
        return Ok(());
    };
    let (mut listening, mut side_tasks) = (Bound::default(), Vec::new());
    if let Some(address) = config.health {
        let (listener, local) = listen(address, "health").await?;
        listening.health = Some(local);
        let (reporter, service) = tonic_health::server::health_reporter();
        side_tasks.push(Tied(tokio::spawn(health::report(shared.clone(), reporter))));
        let server =
            health::server(service).serve_with_incoming(accept::newest(listener, health::CONNECTIONS));
        side_tasks.push(Tied(tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the health service ended");
            }
        })));
    }
    if let Some(address) = config.metrics {
        let (listener, local) = listen(address, "metrics").await?;
        listening.metrics = Some(local);
        side_tasks.push(Tied(tokio::spawn(http::serve(listener, shared.clone(), metrics.clone()))));
    }
    bound(listening);

    // The hub outlives the streams: it leaves the exchange only when nobody needs an answer any more.
    let (hub_switch, hub_ending) = shutdown();
    let hub = tokio::spawn(hub.run(async move { hub_ending.begun().await }));
    let served = discovery(&config, handle, &shared, metrics, &ending).await;
    hub_switch.begin();
    if let Err(error) = hub.await {
        tracing::error!(%error, "the exchange task did not end well");
    }
    served
}

/// Opens the exchange, as soon as it has room for us: the kubelet would restart a proxy that ends, ever later. `None` where
/// the end begins first.
async fn opened(
    config: HubConfig,
    shared: &Shared,
    metrics: &Metrics,
    ending: &Shutdown,
) -> io::Result<Option<(Hub, HubHandle)>> {
    /// Between two tries: short beside a second, in which all should be well again.
    const PAUSE: Duration = Duration::from_millis(200);
    let mut told = false;
    loop {
        match Hub::open(config.clone(), shared.clone(), metrics.clone()) {
            Ok(opened) => return Ok(Some(opened)),
            Err(error) if passes(&error) => {
                if !std::mem::replace(&mut told, true) {
                    let exchange = config.exchange.display();
                    tracing::error!(%exchange, %error, "cannot use the exchange directory yet, trying again");
                }
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = ending.begun() => return Ok(None),
        }
    }
}

/// Whether it may work later, with nobody doing anything about this process.
fn passes(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    use rustix::io::Errno;
    let kinds = [Interrupted, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull];
    let errno = Errno::from_io_error(error);
    kinds.contains(&error.kind()) || matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

/// Waits for the handler's word, takes an endpoint, listens, and only then registers.
async fn discovery(
    config: &ServeConfig,
    hub: HubHandle,
    shared: &Shared,
    metrics: Metrics,
    ending: &Shutdown,
) -> Result<(), ServeError> {
    let Some((name, is_shared)) = announced(config, shared, ending).await else { return Ok(()) };
    let (mut slot, listener) = match config.network {
        Some((ip, port)) => {
            let number = u16::try_from(shared.current().proxy).unwrap_or_default();
            // Port 0 is "any": there is nothing to count up from.
            Slot::network(ip, if port == 0 { 0 } else { port.saturating_add(number) }).await?
        }
        None => {
            tokio::select! {
                there = registration::directory(&config.directory) => there.map_err(ServeError::Watch)?,
                () = ending.begun() => return Ok(()),
            }
            Slot::unix(&config.directory, &name)?
        }
    };
    tracing::info!(%name, endpoint = slot.endpoint, "listening");
    let (endpoint, kind) = (slot.endpoint.clone(), slot.kind);
    shared.update(|state| {
        state.name = Some(name.to_string());
        state.endpoint = Some(endpoint.clone());
    });
    let service = DiscoveryServer::new(Service {
        hub,
        shared: shared.clone(),
        metrics,
        streams: Arc::new(StreamConfig { repeat: config.repeat.clone() }),
        first_answer: config.first_answer,
        shutdown: ending.clone(),
    });
    let server = Server::builder().add_service(service);
    let server_ending = ending.clone();
    let begun = async move { server_ending.begun().await };
    let server = async {
        match listener {
            Listener::Unix(listener) => {
                server.serve_with_incoming_shutdown(accept::unix(listener), begun).await
            }
            Listener::Tcp(listener) => {
                server.serve_with_incoming_shutdown(accept::tcp(listener), begun).await
            }
        }
    };
    let registrar = Registrar {
        directory: config.directory.clone(),
        request: RegisterDiscoveryHandlerRequest {
            name: name.to_string(),
            endpoint,
            endpoint_type: kind.into(),
            shared: is_shared,
        },
        shared: shared.clone(),
    };
    let removal = async {
        ending.begun().await;
        slot.close();
        tokio::time::sleep(config.shutdown_grace).await;
    };
    tokio::select! {
        served = server => { served?; Ok(()) }
        watched = registrar.run() => watched.map_err(ServeError::Watch),
        () = removal => {
            tracing::warn!("connections were still open when the grace time was over");
            Ok(())
        }
    }
}

/// What to register: the configured name or the announced one, once the handler has said what it is.
async fn announced(config: &ServeConfig, shared: &Shared, ending: &Shutdown) -> Option<(HandlerName, bool)> {
    let mut state = shared.subscribe();
    let said = state.wait_for(|state| state.handler.name.is_some());
    let (announced, is_shared) = tokio::select! {
        said = said => { let said = said.ok()?; (said.handler.name.clone(), said.handler.shared) }
        () = ending.begun() => return None,
    };
    let name = config.name.clone().or_else(|| announced?.parse().ok())?;
    Some((name, is_shared))
}

async fn listen(address: SocketAddr, purpose: &'static str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, purpose, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn want_of_room_passes_and_a_wrong_directory_does_not() {
        for passing in [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::ACCESS, Errno::MFILE, Errno::NOMEM] {
            assert!(passes(&passing.into()), "{passing}");
        }
        for staying in [Errno::NOENT, Errno::NOTDIR, Errno::LOOP] {
            assert!(!passes(&staying.into()), "{staying}");
        }
    }
}
