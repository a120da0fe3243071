//! The real handler under the real engine, against the real proxy. Needs `WASM_HANDLER` (the module) and `WASMEDGE` (the
//! engine's command line); `make test` gives both, and `REQUIRE_WASM=1` so that their absence is a failure.

use std::time::Duration;

use tonic::Code;

use crate::support::{
    Agent, Place, Process, discover, eventually, native_handler, program, requests, soon, try_discover,
};

/// A wasm handler and a proxy with an agent, or `None` where there is no engine.
async fn start(place: &Place) -> Option<(Agent, Process, Process, String)> {
    let Some(mut handler) = native_handler(place) else {
        assert!(std::env::var_os("REQUIRE_WASM").is_none(), "WASM_HANDLER and WASMEDGE have to be set");
        eprintln!("skipped: WASM_HANDLER and WASMEDGE are not set; `make test` sets them");
        return None;
    };
    let handler = Process::start(&mut handler);
    let mut agent = Agent::start(&place.akri());
    let proxy = Process::start(program(place).arg("serve"));
    let endpoint = agent.registered().await.endpoint;
    Some((agent, proxy, handler, endpoint))
}

fn input(place: &Place, value: &str) {
    assert!(program(place).args(["input", "availability", value]).status().unwrap().success());
}

#[tokio::test]
async fn devices_come_and_go() {
    let place = Place::new();
    let Some((_agent, _proxy, _handler, endpoint)) = start(&place).await else { return };
    let mut lists = discover(&endpoint, "descriptions: [foo0, foo1]").await;
    let list = lists.next_full().await;
    assert_eq!(list.devices.iter().map(|device| device.id.as_str()).collect::<Vec<_>>(), ["foo0", "foo1"]);
    assert_eq!(list.devices[0].properties["DEBUG_ECHO_DESCRIPTION"], "foo0");
    assert_eq!(lists.next().await.len(), 2, "the repetition");
    for _ in 0..20 {
        input(&place, "OFFLINE");
        assert_eq!(lists.next().await, [""; 0]);
        input(&place, "");
        assert_eq!(lists.next().await, ["foo0", "foo1"]);
    }
    drop(lists);
    eventually("no answer", || std::fs::read_dir(place.exchange().join("answers")).unwrap().count() == 0)
        .await;
    assert!(requests(&place.exchange()).is_empty());
}

#[tokio::test]
async fn bad_details_are_refused_with_the_field() {
    let place = Place::new();
    let Some((_agent, _proxy, _handler, endpoint)) = start(&place).await else { return };
    for (details, expected) in [
        ("", "descriptions: missing field"),
        ("descriptions: 7", "descriptions: invalid type"),
        ("descriptions: [a, 7]", "descriptions[1]: invalid type"),
        ("descriptions: [", "YAML"),
    ] {
        let status = try_discover(&endpoint, details, &[]).await.err().unwrap();
        assert_eq!(status.code(), Code::InvalidArgument, "{details}");
        assert!(status.message().contains(expected), "{details}: {}", status.message());
    }
    assert_eq!(discover(&endpoint, "descriptions: []").await.next().await, [""; 0]);
}

#[tokio::test]
async fn a_killed_handler_ends_no_stream() {
    let place = Place::new();
    let Some((_agent, proxy, handler, endpoint)) = start(&place).await else { return };
    let mut lists = discover(&endpoint, "descriptions: [foo0]").await;
    lists.next().await;
    lists.next().await;
    handler.kill();
    proxy.says("handler is gone").await;
    lists.stays_silent().await;
    input(&place, "OFFLINE");
    let _handler = Process::start(&mut native_handler(&place).unwrap());
    assert_eq!(lists.next().await, [""; 0]);
    input(&place, "");
    assert_eq!(lists.next().await, ["foo0"]);
}

/// The deepest promise: with two proxies, whatever is killed, the agent is never without the full list, and what comes
/// back has it from its first message on.
#[tokio::test]
async fn whatever_is_killed_the_united_list_never_shrinks() {
    let place = Place::new();
    let Some((mut agent, proxy, handler, endpoint)) = start(&place).await else { return };
    let details = "descriptions: [foo0, foo1]";
    let second = Process::start(program(&place).arg("serve"));
    let mut endpoints = [endpoint, agent.registered().await.endpoint];
    let (mut proxies, mut handler) = (vec![proxy, second], Some(handler));
    let mut streams = vec![discover(&endpoints[0], details).await, discover(&endpoints[1], details).await];
    for stream in &mut streams {
        assert_eq!(stream.next().await, ["foo0", "foo1"]);
        assert_eq!(stream.next().await, ["foo0", "foo1"], "the repetition");
    }
    for round in 0..12 {
        let victim = round % 3;
        if victim == 2 {
            handler.take().unwrap().kill();
            handler = Some(Process::start(&mut native_handler(&place).unwrap()));
        } else {
            proxies.remove(victim).kill();
            assert!(streams.remove(victim).end().await.is_err());
            proxies.insert(victim, Process::start(program(&place).arg("serve")));
            endpoints[victim] = agent.registered().await.endpoint;
            let mut stream = discover(&endpoints[victim], details).await;
            assert_eq!(stream.next().await, ["foo0", "foo1"], "round {round}");
            assert_eq!(stream.next().await, ["foo0", "foo1"], "the repetition");
            streams.insert(victim, stream);
        }
        for stream in &mut streams {
            stream.stays_silent().await;
        }
    }
    assert_eq!(requests(&place.exchange()).len(), 2);
    assert_eq!(
        std::fs::read_dir(place.akri()).unwrap().count(),
        5,
        "two sockets, two locks, the agent's socket"
    );
}

#[tokio::test]
async fn five_thousand_devices_and_a_hundred_jobs() {
    let place = Place::new();
    let Some((_agent, _proxy, _handler, endpoint)) = start(&place).await else { return };
    let many: Vec<String> = (0..5000).map(|n| format!("foo{n}")).collect();
    let mut large = discover(&endpoint, &format!("descriptions: [{}]", many.join(", "))).await;
    assert_eq!(large.next().await, many);
    let mut streams = Vec::new();
    for n in 0..100 {
        streams.push(discover(&endpoint, &format!("descriptions: [bar{n}]")).await);
    }
    for (n, lists) in streams.iter_mut().enumerate() {
        assert_eq!(lists.next().await, [format!("bar{n}")]);
    }
}

#[tokio::test]
async fn the_last_proxy_stops_it_and_waiting_costs_it_nothing() {
    let place = Place::new();
    let Some((_agent, mut proxy, mut handler, endpoint)) = start(&place).await else { return };
    let mut lists = discover(&endpoint, "descriptions: [foo0]").await;
    lists.next().await;
    lists.next().await;
    let before = handler.sleeps();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(handler.sleeps() - before, 0, "wake-ups while there is nothing to do");
    proxy.signal(rustix::process::Signal::TERM);
    assert!(soon("the proxy's end", proxy.end()).await.success());
    assert!(soon("the handler's end", handler.end()).await.success());
    assert!(!place.exchange().join("handler.json").exists());
}
