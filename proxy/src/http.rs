//! The page for Prometheus and the one for `akri-proxy status`, over plain HTTP/1.1.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::accept;
use crate::metrics::Metrics;
use crate::state::Shared;

/// Where Prometheus looks.
pub(crate) const METRICS: &str = "/metrics";
/// Where `akri-proxy status` looks.
pub(crate) const STATUS: &str = "/status";
/// How long a client may take to say what it wants.
const HEADERS: Duration = Duration::from_secs(5);
/// Connections at a time: one or two Prometheuses, and a person.
const CONNECTIONS: usize = 16;
/// The content type of OpenMetrics text (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Shared, metrics: Metrics) {
    let mut connections = pin!(accept::newest(listener, CONNECTIONS));
    while let Some(Ok(stream)) = connections.next().await {
        let (shared, metrics) = (shared.clone(), metrics.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let response = answer(&request, &shared, &metrics);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .keep_alive(false)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a metrics connection ended early");
            }
        });
    }
}

fn answer(request: &Request<Incoming>, shared: &Shared, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, METRICS) => (StatusCode::OK, OPEN_METRICS, metrics.page(&shared.current())),
        (&Method::GET, STATUS) => {
            let json =
                serde_json::to_string(&shared.current()).expect("strings and numbers always serialise");
            (StatusCode::OK, "application/json", json)
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", format!("there are {METRICS} and {STATUS}\n")),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind.parse().expect("a constant that is a valid header"));
    response
}
