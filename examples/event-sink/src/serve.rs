//! The HTTP side: bounds for whoever sends.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use crate::event::{CE_ID, CE_SOURCE, CE_SPEC_VERSION, CE_TYPE, Event, JSON, SPEC_VERSION};

/// What kind of event the answer is.
const RECEIPT_TYPE: &str = "akri-wasm.example.receipt";
/// Who answers.
const SOURCE: &str = "/akri-wasm/examples/event-sink";
/// Where a probe asks.
const HEALTH: &str = "/healthz";
/// The most bytes of an event's data: what the specification has every consumer take.
const MOST_BYTES: usize = 64 * 1024;
/// Connections at the same time; further ones wait.
const CONNECTIONS: usize = 64;
/// How long one exchange may take.
const EXCHANGE: Duration = Duration::from_secs(10);

/// What is known of all events.
struct Sink<W> {
    taken: Cell<u64>,
    out: RefCell<W>,
}

/// Takes events until `stopped`, and prints each to `out`.
pub async fn serve<W: Write + 'static>(listener: TcpListener, out: W, stopped: impl Future<Output = ()>) {
    let sink = Rc::new(Sink { taken: Cell::new(0), out: RefCell::new(out) });
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let local = LocalSet::new();
    let accepting = async {
        loop {
            // Before the next is accepted: who waits, waits in the kernel.
            let permit = Arc::clone(&room).acquire_owned().await.expect("nobody closes the semaphore");
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: the wait keeps the loop from spinning.
                    eprintln!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let sink = Rc::clone(&sink);
            tokio::task::spawn_local(async move {
                let _held = permit;
                if tokio::time::timeout(EXCHANGE, connection(stream, &sink)).await.is_err() {
                    eprintln!("a connection took more than {} s", EXCHANGE.as_secs());
                }
            });
        }
    };
    tokio::select! {
        () = local.run_until(accepting) => {}
        () = stopped => {}
    }
}

async fn connection<W: Write>(stream: TcpStream, sink: &Sink<W>) {
    let service =
        service_fn(async |request: Request<Incoming>| Ok::<_, Infallible>(answer(request, sink).await));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(EXCHANGE)
        .keep_alive(false)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        eprintln!("a connection ended early: {error}");
    }
}

async fn answer<W: Write>(request: Request<Incoming>, sink: &Sink<W>) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, HEALTH) => text(StatusCode::OK, "ok"),
        (&Method::POST, _) => {
            let (head, body) = request.into_parts();
            let Ok(body) = Limited::new(body, MOST_BYTES).collect().await else {
                return text(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    &format!("an event has at most {MOST_BYTES} bytes"),
                );
            };
            match Event::read(&head.headers, &body.to_bytes()) {
                Ok(event) => sink.take(&event),
                Err(error) => text(StatusCode::BAD_REQUEST, &error.to_string()),
            }
        }
        _ => text(StatusCode::METHOD_NOT_ALLOWED, &format!("POST an event, or GET {HEALTH}")),
    }
}

impl<W: Write> Sink<W> {
    fn take(&self, event: &Event) -> Response<Full<Bytes>> {
        let count = self.taken.get() + 1;
        let mut out = self.out.borrow_mut();
        // A line at once: who follows the log sees the event when its sender sees the receipt.
        if let Err(error) = writeln!(out, "{}", event.document()).and_then(|()| out.flush()) {
            return text(StatusCode::INTERNAL_SERVER_ERROR, &format!("the event cannot be printed: {error}"));
        }
        self.taken.set(count);
        let receipt = json!({ "received": event.id(), "count": count });
        Response::builder()
            .header(CE_SPEC_VERSION, SPEC_VERSION)
            .header(CE_TYPE, RECEIPT_TYPE)
            .header(CE_SOURCE, SOURCE)
            .header(CE_ID, count)
            .header(CONTENT_TYPE, JSON)
            .body(Full::new(Bytes::from(receipt.to_string())))
            .expect("constants and a number are valid headers")
    }
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response
}
