//! What the agent sees of a Discover.

use std::time::Duration;

use akri_exchange::{Device, DeviceSpec, Failure, Mount};
use akri_proxy::ServeConfig;
use tonic::Code;

use crate::support::{
    Agent, Lists, Place, Proxy, Script, config, discover, eventually, requests, try_discover,
};

/// A proxy with a handler, registered.
async fn start(change: impl FnOnce(ServeConfig) -> ServeConfig) -> (Place, Proxy, Agent, Script, String) {
    let place = Place::new();
    let proxy = Proxy::start(change(config(&place))).await;
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    (place, proxy, agent, handler, endpoint)
}

/// A stream and the request that it makes, answered with these ids.
async fn opened(handler: &Script, endpoint: &str, ids: &[&str]) -> (Lists, akri_exchange::RequestId) {
    tokio::join!(discover(endpoint, "descriptions: []"), async {
        let (id, _) = handler.request().await;
        handler.list(id, ids);
        id
    })
}

#[tokio::test]
async fn lists_come_whole_in_order_and_with_all_that_is_in_them() {
    let (_place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let (mut lists, id) = opened(&handler, &endpoint, &["b", "a", "b"]).await;
    assert_eq!(lists.next().await, ["b", "a", "b"]);
    handler.list(id, &[]);
    assert_eq!(lists.next().await, [""; 0]);
    let spec =
        DeviceSpec { container_path: "/dev/a".into(), host_path: "/dev/b".into(), permissions: "rw".into() };
    handler.devices(id, vec![Device { device_specs: vec![spec], ..Device::new("x").property("K", "v") }]);
    let list = lists.next_full().await;
    let device = &list.devices[0];
    assert_eq!((device.id.as_str(), device.properties["K"].as_str()), ("x", "v"));
    let spec = &device.device_specs[0];
    assert_eq!(
        (spec.container_path.as_str(), spec.host_path.as_str(), spec.permissions.as_str()),
        ("/dev/a", "/dev/b", "rw")
    );
    proxy.stop().await;
}

#[tokio::test]
async fn details_and_properties_reach_the_handler_to_the_letter() {
    let (_place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let details = "# a comment\ndescriptions:\n- foo0\n";
    let secret: &[u8] = b"\xff\xfe\x00pass";
    let properties = [("PASSWORD", Some(secret)), ("ABSENT", None), ("EMPTY", Some(&b""[..]))];
    let (opened, request) = tokio::join!(try_discover(&endpoint, details, &properties), async {
        let (id, request) = handler.request().await;
        handler.list(id, &[]);
        request
    });
    opened.unwrap();
    assert_eq!(request.details_text, details);
    assert_eq!(request.details_json.as_deref(), Some(r#"{"descriptions":["foo0"]}"#));
    let value = |name| request.properties.get(name).unwrap().bytes();
    assert_eq!((value("PASSWORD"), value("ABSENT"), value("EMPTY")), (Some(secret), None, Some(&b""[..])));
    proxy.stop().await;
}

#[tokio::test]
async fn details_that_are_no_yaml_go_as_text_with_the_reason() {
    let (_place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let (refused, ()) = tokio::join!(try_discover(&endpoint, "a: [", &[]), async {
        let (id, request) = handler.request().await;
        assert_eq!((request.details_text.as_str(), &request.details_json), ("a: [", &None));
        handler.fail(id, Failure::invalid_details(request.details_error.unwrap()));
    });
    assert_eq!(refused.err().unwrap().code(), Code::InvalidArgument);
    proxy.stop().await;
}

#[tokio::test]
async fn bad_details_are_refused_before_the_headers_and_name_the_field() {
    let (place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let (refused, ()) = tokio::join!(try_discover(&endpoint, "", &[]), async {
        let (id, _) = handler.request().await;
        handler.fail(id, Failure::invalid_details("missing").at("descriptions"));
    });
    let status = refused.err().unwrap();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "descriptions: missing"));
    eventually("the job's end", || requests(&place.exchange()).is_empty()).await;
    proxy.stop().await;
}

#[tokio::test]
async fn an_unavailable_handler_is_waited_out_behind_the_headers() {
    let (_place, proxy, _agent, handler, endpoint) =
        start(|config| ServeConfig { first_answer: Duration::from_millis(50), ..config }).await;
    let (mut lists, id) = tokio::join!(discover(&endpoint, ""), async {
        let (id, _) = handler.request().await;
        handler.fail(id, Failure::unavailable("the bus is down"));
        id
    });
    lists.stays_silent().await;
    handler.list(id, &["x"]);
    assert_eq!(lists.next().await, ["x"]);
    proxy.stop().await;
}

#[tokio::test]
async fn a_failure_after_a_list_ends_nothing_and_the_list_stands() {
    let (_place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let (mut lists, id) = opened(&handler, &endpoint, &["x"]).await;
    lists.next().await;
    for failure in [Failure::unavailable("gone"), Failure::invalid_details("now they are bad")] {
        handler.fail(id, failure);
        lists.stays_silent().await;
        assert!(proxy.state().await.jobs[0].error.is_some());
        assert_eq!(discover(&endpoint, "descriptions: []").await.next().await, ["x"]);
    }
    handler.list(id, &["x", "y"]);
    assert_eq!(lists.next().await, ["x", "y"]);
    assert_eq!(proxy.state().await.jobs[0].error, None);
    proxy.stop().await;
}

#[tokio::test]
async fn unchanged_lists_are_not_told_again() {
    let (_place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let (mut lists, id) = opened(&handler, &endpoint, &["x"]).await;
    lists.next().await;
    handler.list(id, &["x"]);
    lists.stays_silent().await;
    proxy.stop().await;
}

#[tokio::test]
async fn the_first_list_is_said_again_at_its_times_and_then_no_more() {
    let times = vec![Duration::from_millis(50), Duration::from_millis(150)];
    let (_place, proxy, _agent, handler, endpoint) =
        start(|config| ServeConfig { repeat: times, ..config }).await;
    let (mut lists, _) = opened(&handler, &endpoint, &["x"]).await;
    let mut at = Vec::new();
    for _ in 0..3 {
        assert_eq!(lists.next().await, ["x"]);
        at.push(std::time::Instant::now());
    }
    assert!(at[2] - at[0] >= Duration::from_millis(140), "{:?}", at[2] - at[0]);
    lists.stays_silent().await;
    proxy.stop().await;
}

#[tokio::test]
async fn removals_are_held_back_for_the_handlers_grace_time_and_additions_are_not() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let handler = Script::start_with_grace(&place.exchange(), 400).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let (mut lists, id) = opened(&handler, &endpoint, &["a", "b"]).await;
    assert_eq!(lists.next().await, ["a", "b"]);
    let started = std::time::Instant::now();
    handler.list(id, &["b"]);
    handler.list(id, &["b", "c"]);
    assert_eq!(lists.next().await, ["b", "c", "a"]);
    assert_eq!(lists.next().await, ["b", "c"]);
    assert!(started.elapsed() >= Duration::from_millis(390), "{:?}", started.elapsed());
    // Nobody hears of a blink.
    handler.list(id, &["c"]);
    handler.list(id, &["b", "c"]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    lists.stays_silent().await;
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_held_back_never_makes_a_list_too_large() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let handler = Script::start_with_grace(&place.exchange(), 60_000).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let large = |name: &str| -> Vec<Device> {
        (0..50).map(|n| Device::new(format!("{name}{n}")).property("L", "x".repeat(60_000))).collect()
    };
    let (mut lists, id) = opened(&handler, &endpoint, &["x"]).await;
    lists.next().await;
    handler.devices(id, large("a"));
    assert_eq!(lists.next().await.len(), 51);
    handler.devices(id, large("b"));
    assert_eq!(lists.next().await.len(), 50);
    proxy.stop().await;
}

#[tokio::test]
async fn details_that_were_refused_may_be_taken_later() {
    let (_place, proxy, _agent, handler, endpoint) =
        start(|config| ServeConfig { first_answer: Duration::from_millis(50), ..config }).await;
    let (mut lists, id) = tokio::join!(discover(&endpoint, ""), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        handler.request().await.0
    });
    handler.fail(id, Failure::invalid_details("bad"));
    proxy.until("a refusal", |state| state.jobs[0].error.as_deref() == Some("bad")).await;
    assert_eq!(try_discover(&endpoint, "", &[]).await.err().unwrap().code(), Code::InvalidArgument);
    handler.fail(id, Failure::unavailable("later"));
    proxy.until("a wait", |state| state.jobs[0].error.as_deref() == Some("later")).await;
    let (mut second, _) = try_discover(&endpoint, "", &[]).await.unwrap();
    handler.list(id, &["x"]);
    assert_eq!((lists.next().await, second.next().await), (vec!["x".to_owned()], vec!["x".to_owned()]));
    proxy.stop().await;
}

#[tokio::test]
async fn twenty_streams_of_one_request_are_one_job() {
    let (place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let opening: Vec<_> = (0..20)
        .map(|_| {
            let endpoint = endpoint.clone();
            tokio::spawn(async move { discover(&endpoint, "same: true").await })
        })
        .collect();
    let (id, _) = handler.request().await;
    handler.list(id, &["x"]);
    let mut streams = Vec::new();
    for stream in opening {
        streams.push(stream.await.unwrap());
    }
    for lists in &mut streams {
        assert_eq!(lists.next().await, ["x"]);
    }
    assert_eq!(requests(&place.exchange()).len(), 1);
    let state = proxy.until("twenty streams", |state| state.streams.open == 20).await;
    assert_eq!((state.jobs.len(), state.jobs[0].streams), (1, 20));
    handler.list(id, &["y"]);
    for lists in &mut streams {
        assert_eq!(lists.next().await, ["y"]);
    }
    // The job ends with the last of them.
    let last = streams.pop();
    drop(streams);
    proxy.until("one stream", |state| state.streams.open == 1).await;
    assert_eq!(requests(&place.exchange()).len(), 1);
    drop(last);
    eventually("no request", || requests(&place.exchange()).is_empty()).await;
    proxy.stop().await;
}

#[tokio::test]
async fn twenty_streams_of_different_requests_are_served_side_by_side() {
    let (_place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let opening: Vec<_> = (0..20)
        .map(|n| {
            let endpoint = endpoint.clone();
            tokio::spawn(async move { discover(&endpoint, &format!("n: {n}")).await.next().await })
        })
        .collect();
    for (id, request) in handler.requests(20).await {
        handler.list(id, &[request.details_text.as_str()]);
    }
    for (n, stream) in opening.into_iter().enumerate() {
        assert_eq!(stream.await.unwrap(), [format!("n: {n}")]);
    }
    proxy.until("no job", |state| state.jobs.is_empty()).await;
    proxy.stop().await;
}

#[tokio::test]
async fn an_agent_that_reads_slowly_gets_the_newest_list() {
    let (_place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let (mut lists, id) = opened(&handler, &endpoint, &["first"]).await;
    let large = "x".repeat(60_000);
    for n in 0..200 {
        handler.devices(id, vec![Device::new(n.to_string()).property("LARGE", large.clone())]);
    }
    let mut told = 0;
    loop {
        told += 1;
        if lists.next().await == ["199"] {
            break;
        }
    }
    assert!(told <= 201, "{told}");
    lists.stays_silent().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_list_that_the_agent_could_not_take_is_refused_and_the_last_one_stands() {
    let (_place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let (mut lists, id) = opened(&handler, &endpoint, &["x"]).await;
    lists.next().await;
    let large = |count: usize| {
        (0..count).map(|n| Device::new(n.to_string()).property("L", "x".repeat(60_000))).collect()
    };
    handler.devices(id, large(75));
    lists.stays_silent().await;
    assert!(proxy.page("/metrics").await.contains("answers_refused_total{reason=\"too_large\"} 1"));
    handler.devices(id, large(60));
    assert_eq!(lists.next().await.len(), 60);
    proxy.stop().await;
}

#[tokio::test]
async fn what_the_policy_does_not_cover_is_refused_and_the_last_list_stands() {
    let (_place, proxy, _agent, handler, endpoint) = start(|config| config).await;
    let (mut lists, id) = opened(&handler, &endpoint, &["x"]).await;
    lists.next().await;
    let mount = Mount { container_path: "/etc".into(), host_path: "/etc".into(), read_only: true };
    handler.devices(id, vec![Device { mounts: vec![mount], ..Device::new("thief") }]);
    lists.stays_silent().await;
    assert!(proxy.page("/metrics").await.contains("answers_refused_total{reason=\"policy\"} 1"));
    proxy.stop().await;
}
