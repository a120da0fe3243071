//! Readiness, liveness and metrics, as kubelet and Prometheus ask for them.

use std::time::Duration;

use akri_proxy::health::{LIVENESS, READINESS};
use akri_proxy::state::Condition;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Agent, PATIENCE, Place, Proxy, Script, config, discover};

async fn status(proxy: &Proxy, service: &str) -> ServingStatus {
    let url = format!("http://{}", proxy.bound.health.unwrap());
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    let request = HealthCheckRequest { service: service.to_owned() };
    client.check(request).await.unwrap().into_inner().status()
}

async fn becomes(proxy: &Proxy, service: &str, expected: ServingStatus) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while status(proxy, service).await != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{service} never becomes {expected:?}"));
}

#[tokio::test]
async fn readiness_follows_handler_registration_and_lists_and_liveness_does_not() {
    use ServingStatus::{NotServing, Serving};
    let place = Place::new();
    let proxy =
        Proxy::start(akri_proxy::ServeConfig { first_answer: Duration::ZERO, ..config(&place) }).await;
    becomes(&proxy, LIVENESS, Serving).await;
    becomes(&proxy, READINESS, NotServing).await;
    let mut handler = Script::start(&place.exchange()).await;
    assert_eq!(status(&proxy, READINESS).await, NotServing, "not registered yet");

    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let registered = std::time::Instant::now();
    let mut lists = discover(&endpoint, "a: 1").await;
    handler.woken().await;
    // The second passes, but a stream has no list.
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(status(&proxy, READINESS).await, NotServing);
    handler.list(handler.request().await.0, &["x"]);
    lists.next().await;
    becomes(&proxy, READINESS, Serving).await;
    becomes(&proxy, "", Serving).await;
    assert!(registered.elapsed() >= Duration::from_secs(1));

    drop(handler);
    becomes(&proxy, READINESS, NotServing).await;
    assert_eq!(status(&proxy, LIVENESS).await, Serving, "a dead handler must not get the proxy restarted");
    let _handler = Script::start(&place.exchange()).await;
    becomes(&proxy, READINESS, Serving).await;
    proxy.stop().await;
}

#[tokio::test]
async fn readiness_waits_a_second_after_a_registration() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let _handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    agent.registered().await;
    let registered = std::time::Instant::now();
    becomes(&proxy, READINESS, ServingStatus::Serving).await;
    assert!(registered.elapsed() >= Duration::from_millis(900), "{:?}", registered.elapsed());
    proxy.stop().await;
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let (mut lists, id) = tokio::join!(discover(&endpoint, "a: 1"), async {
        let (id, _) = handler.request().await;
        handler.list(id, &["x", "y"]);
        id
    });
    lists.next().await;
    handler.list(id, &["x", "y", "z"]);
    lists.next().await;
    handler.raw(id, b"{");
    drop(handler);
    proxy.until("the handler's death", |state| state.handler.condition == Condition::Gone).await;
    let page = proxy.page("/metrics").await;
    for line in [
        "akri_proxy_streams 1",
        "akri_proxy_streams_waiting 0",
        "akri_proxy_jobs 1",
        "akri_proxy_devices 3",
        "akri_proxy_answers_accepted_total 2",
        "akri_proxy_answers_refused_total{reason=\"malformed\"} 1",
        "akri_proxy_registrations_total 1",
        "akri_proxy_registered 1",
        "akri_proxy_handler_restarts_total 0",
        "akri_proxy_handler_state{state=\"gone\"} 1",
        "akri_proxy_answer_seconds_count 1",
        "# EOF",
    ] {
        assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
    }
    proxy.stop().await;
}

/// Whoever shares the pod's network may open as many connections as there are ports; they cost little, and keep nobody out.
#[tokio::test]
async fn connections_without_end_keep_no_probe_out() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    becomes(&proxy, LIVENESS, ServingStatus::Serving).await;
    for address in [proxy.bound.health.unwrap(), proxy.bound.metrics.unwrap()] {
        let mut held = Vec::new();
        for number in 0..200 {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            // Some say nothing, some begin to say something. One that was ended already cannot.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &b"PRI * HTTP/2.0"[..number % 14]).await;
            held.push(stream);
        }
        assert_eq!(status(&proxy, LIVENESS).await, ServingStatus::Serving);
        assert!(proxy.page("/metrics").await.contains("akri"));
        // All but the newest are over; what the server says in between, nobody needs.
        for mut stream in held.drain(..150) {
            let mut said = Vec::new();
            let end = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut said);
            let _ = tokio::time::timeout(PATIENCE, end).await.expect("it is ended");
        }
    }
    proxy.stop().await;
}
