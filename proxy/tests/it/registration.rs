//! How the agent comes to know the proxy, and how often.

use std::time::Duration;

use akri_proxy::pb::register_discovery_handler_request::EndpointType;

use crate::support::{Agent, Place, Proxy, SILENCE, Script, config, discover, eventually};

#[tokio::test]
async fn listens_before_it_registers() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let mut agent = Agent::start(&place.akri());
    let _handler = Script::start(&place.exchange()).await;
    let (registration, connectable) = agent.registered_and_connectable().await;
    assert!(connectable);
    assert_eq!((registration.name.as_str(), registration.shared), ("debugEcho", true));
    assert_eq!(registration.endpoint_type, i32::from(EndpointType::Uds));
    assert_eq!(registration.endpoint, place.akri().join("debugEcho-wasm-0.sock").display().to_string());
    proxy.stop().await;
}

#[tokio::test]
async fn an_agent_that_comes_later_is_seen_at_once() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let _handler = Script::start(&place.exchange()).await;
    proxy.until("an endpoint", |state| state.endpoint.is_some()).await;
    let started = std::time::Instant::now();
    let mut agent = Agent::start(&place.akri());
    agent.registered().await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    proxy.stop().await;
}

#[tokio::test]
async fn a_directory_that_comes_later_is_seen_too() {
    let place = Place::new();
    let deeper = place.akri().join("lib").join("akri");
    let proxy = Proxy::start(akri_proxy::ServeConfig { directory: deeper.clone(), ..config(&place) }).await;
    let _handler = Script::start(&place.exchange()).await;
    proxy.until("a handler", |state| state.handler.name.is_some()).await;
    std::fs::create_dir(deeper.parent().unwrap()).unwrap();
    std::fs::create_dir(&deeper).unwrap();
    let mut agent = Agent::start(&deeper);
    agent.registered().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_restarted_agent_is_registered_with_again_and_only_then() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let _handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    agent.registered().await;
    agent.stays_silent().await;
    agent.die().await;
    let mut agent = Agent::start(&place.akri());
    agent.registered().await;
    agent.stays_silent().await;
    assert_eq!(proxy.state().await.registration.count, 2);
    proxy.stop().await;
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_tried_again() {
    let place = Place::new();
    let dead = Agent::start(&place.akri());
    dead.die().await;
    let proxy = Proxy::start(config(&place)).await;
    let _handler = Script::start(&place.exchange()).await;
    proxy.until("a failed try", |state| state.registration.error.is_some()).await;
    let mut agent = Agent::start(&place.akri());
    agent.registered().await;
    proxy.until("no error", |state| state.registration.error.is_none()).await;
    proxy.stop().await;
}

#[tokio::test]
async fn one_closed_stream_is_no_reason_to_register() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let answer = async {
        for (id, _) in handler.requests(2).await {
            handler.list(id, &["x"]);
        }
    };
    let ((mut first, second), ()) = tokio::join!(
        async { tokio::join!(discover(&endpoint, "a: 1"), discover(&endpoint, "b: 2")) },
        answer
    );
    first.next().await;
    drop(second);
    proxy.until("one stream", |state| state.streams.open == 1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    agent.stays_silent().await;
    proxy.stop().await;
}

#[tokio::test]
async fn when_every_stream_is_lost_it_registers_again() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let (stream, ()) = tokio::join!(discover(&endpoint, "a: 1"), async {
        handler.list(handler.request().await.0, &["x"]);
    });
    drop(stream);
    agent.registered().await;
    // Without a new stream there is nothing more to lose.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    agent.stays_silent().await;
    proxy.stop().await;
}

#[tokio::test]
async fn with_a_pod_address_the_endpoint_is_of_the_network() {
    let place = Place::new();
    let network = Some(("127.0.0.1".parse().unwrap(), 0));
    let proxy = Proxy::start(akri_proxy::ServeConfig { network, ..config(&place) }).await;
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let registration = agent.registered().await;
    assert_eq!(registration.endpoint_type, i32::from(EndpointType::Network));
    assert!(registration.endpoint.starts_with("http://127.0.0.1:"), "{}", registration.endpoint);
    let (mut lists, ()) = tokio::join!(discover(&registration.endpoint, ""), async {
        handler.list(handler.request().await.0, &["x"]);
    });
    assert_eq!(lists.next().await, ["x"]);
    proxy.stop().await;
}

#[tokio::test]
async fn auto_takes_the_announced_name_and_a_configured_one_stands() {
    let place = Place::new();
    let proxy = Proxy::start(akri_proxy::ServeConfig { name: None, ..config(&place) }).await;
    let mut agent = Agent::start(&place.akri());
    let handler = Script::start_named(&place.exchange(), "cameras", "1.0").await;
    assert_eq!(agent.registered().await.name, "cameras");
    drop(handler);
    proxy.stop().await;

    let proxy = Proxy::start(config(&place)).await;
    let _handler = Script::start_named(&place.exchange(), "cameras", "1.0").await;
    assert_eq!(agent.registered().await.name, "debugEcho");
    proxy.stop().await;
}

#[tokio::test]
async fn nothing_is_registered_before_the_handler_says_what_it_is() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let mut agent = Agent::start(&place.akri());
    agent.stays_silent().await;
    let _handler = Script::start(&place.exchange()).await;
    agent.registered().await;
    proxy.stop().await;
}

#[tokio::test]
async fn leaving_removes_the_socket_and_asks_the_handler_to_stop() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let mut handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let (mut lists, ()) = tokio::join!(discover(&endpoint, ""), async {
        handler.list(handler.request().await.0, &["x"]);
    });
    lists.next().await;
    handler.woken().await;
    let (ended, ()) = tokio::join!(lists.end(), proxy.stop());
    assert!(ended.is_ok(), "{ended:?}");
    assert!(!std::path::Path::new(&endpoint).exists());
    assert!(place.exchange().join("stop").exists());
    assert_eq!(handler.woken().await, b"rr");
    assert_eq!(std::fs::read_dir(place.exchange().join("requests")).unwrap().count(), 0);
    let left: Vec<_> =
        std::fs::read_dir(place.akri()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["agent-registration.sock"]);

    // A proxy that comes takes the stop back.
    let proxy = Proxy::start(config(&place)).await;
    assert!(!place.exchange().join("stop").exists());
    proxy.stop().await;
}

#[tokio::test]
async fn streams_that_do_not_end_are_left_behind_after_the_grace_time() {
    let place = Place::new();
    let proxy = Proxy::start(akri_proxy::ServeConfig { shutdown_grace: SILENCE, ..config(&place) }).await;
    let _handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    // A connection that never says anything.
    let _silent = std::os::unix::net::UnixStream::connect(&endpoint).unwrap();
    proxy.stop().await;
    eventually("no socket", || !std::path::Path::new(&endpoint).exists()).await;
}
