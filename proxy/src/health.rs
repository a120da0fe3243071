//! Readiness and liveness, by the standard gRPC health service.
//!
//! Liveness says that the proxy runs; a dead handler must not get the proxy restarted. Readiness says that the pod may
//! take the place of another: the handler lives, the agent knows the proxy and has had a second to open its streams,
//! and every stream has its list.

use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

use crate::state::{Condition, SETTLE, Shared, State};

/// The service name for readiness probes. The empty name, the server as a whole, is the same.
pub const READINESS: &str = "readiness";
/// The service name for liveness probes.
pub const LIVENESS: &str = "liveness";

/// Connections at a time: a probe has its own, and ends it at once.
pub(crate) const CONNECTIONS: usize = 16;
/// Bytes of a request, which is the name of a service.
const REQUEST_BYTES: usize = 1024;
/// Requests at a time on a connection, bytes of each that the other side may send unasked, and bytes of its headers.
const REQUESTS: u32 = 4;
const WINDOW: u32 = 64 * 1024;
const HEADERS: u32 = 8 * 1024;

/// Serves the standard service to whoever asks, for little memory.
pub(crate) fn server(service: HealthServer<impl Health>) -> Router {
    Server::builder()
        .max_concurrent_streams(REQUESTS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .http2_max_header_list_size(HEADERS)
        .add_service(service.max_decoding_message_size(REQUEST_BYTES))
}

/// Why the proxy is not ready; `None` when nothing is missing.
pub(crate) fn missing(state: &State) -> Option<&'static str> {
    match state {
        State { handler, .. } if handler.condition != Condition::Alive => Some("the handler does not answer"),
        State { registration, .. } if !registration.registered => Some("not registered with the agent"),
        State { streams, .. } if streams.waiting > 0 => Some("a stream has no list yet"),
        _ => None,
    }
}

/// Keeps the health service's word in line with the state.
pub(crate) async fn report(shared: Shared, reporter: HealthReporter) {
    reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
    let mut state = shared.subscribe();
    let mut ready = None;
    let mut settled_for = 0;
    loop {
        let (why, registrations) = {
            let state = state.borrow_and_update();
            (missing(&state), state.registration.count)
        };
        if why.is_none() && settled_for != registrations {
            // Registered (again): the agent needs a moment to open its streams. What happens meanwhile is seen after.
            tokio::time::sleep(SETTLE).await;
            settled_for = registrations;
            continue;
        }
        if ready != Some(why.is_none()) {
            ready = Some(why.is_none());
            let status = if why.is_none() { ServingStatus::Serving } else { ServingStatus::NotServing };
            for service in [READINESS, ""] {
                reporter.set_service_status(service, status).await;
            }
            match why {
                None => tracing::info!("ready"),
                Some(why) => tracing::info!(why, "not ready"),
            }
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{HandlerState, RegistrationState, StreamState};

    #[test]
    fn ready_is_alive_registered_and_told() {
        let ready = State {
            handler: HandlerState { condition: Condition::Alive, ..Default::default() },
            registration: RegistrationState { registered: true, count: 1, error: None },
            streams: StreamState { open: 2, waiting: 0, total: 2 },
            ..Default::default()
        };
        assert_eq!(missing(&ready), None);
        for condition in [Condition::Absent, Condition::Gone, Condition::Hung] {
            let handler = HandlerState { condition, ..Default::default() };
            assert!(missing(&State { handler, ..ready.clone() }).is_some());
        }
        assert!(missing(&State { registration: RegistrationState::default(), ..ready.clone() }).is_some());
        assert!(
            missing(&State { streams: StreamState { waiting: 1, ..ready.streams.clone() }, ..ready })
                .is_some()
        );
    }
}
