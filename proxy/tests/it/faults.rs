//! Who dies, hangs, comes back or is replaced, and that no stream sees it.

use std::time::Duration;

use akri_proxy::ServeConfig;
use akri_proxy::state::Condition;

use crate::support::{
    Agent, Lists, Place, Process, Proxy, Script, config, discover, eventually, program, requests, soon,
    try_discover,
};

async fn start(change: impl FnOnce(ServeConfig) -> ServeConfig) -> (Place, Proxy, Script, Lists, String) {
    let place = Place::new();
    let proxy = Proxy::start(change(config(&place))).await;
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let (mut lists, ()) = tokio::join!(discover(&endpoint, "a: 1"), async {
        handler.list(handler.request().await.0, &["x"]);
    });
    assert_eq!(lists.next().await, ["x"]);
    (place, proxy, handler, lists, endpoint)
}

#[tokio::test]
async fn a_dead_handler_ends_no_stream_and_answers_resume_with_the_next() {
    let (place, proxy, handler, mut lists, endpoint) = start(|config| config).await;
    drop(handler);
    proxy.until("the handler's death", |state| state.handler.condition == Condition::Gone).await;
    lists.stays_silent().await;
    // The last list stands, for new streams too, and no header waits for the dead.
    let (mut second, headers) = try_discover(&endpoint, "a: 1", &[]).await.unwrap();
    assert!(headers < Duration::from_secs(2), "{headers:?}");
    assert_eq!(second.next().await, ["x"]);

    let handler = Script::start(&place.exchange()).await;
    let state = proxy.until("a new life", |state| state.handler.condition == Condition::Alive).await;
    assert_eq!(state.handler.restarts, 1);
    let (id, _) = handler.request().await;
    handler.list(id, &["x", "y"]);
    assert_eq!((lists.next().await.len(), second.next().await.len()), (2, 2));
    proxy.stop().await;
}

#[tokio::test]
async fn headers_do_not_wait_for_a_dead_handler_and_its_successor_is_told() {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    drop(handler);
    proxy.until("the handler's death", |state| state.handler.condition == Condition::Gone).await;
    let (mut lists, headers) = try_discover(&endpoint, "a: 1", &[]).await.unwrap();
    assert!(headers < Duration::from_secs(2), "{headers:?}");
    lists.stays_silent().await;
    let mut handler = Script::start(&place.exchange()).await;
    handler.woken().await;
    handler.list(handler.request().await.0, &["late"]);
    assert_eq!(lists.next().await, ["late"]);
    proxy.stop().await;
}

#[tokio::test]
async fn headers_wait_a_bounded_moment_for_a_handler_that_lives() {
    let place = Place::new();
    let first_answer = Duration::from_millis(200);
    let proxy = Proxy::start(ServeConfig { first_answer, ..config(&place) }).await;
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let (mut lists, headers) = try_discover(&endpoint, "a: 1", &[]).await.unwrap();
    assert!(headers >= first_answer && headers < Duration::from_secs(5), "{headers:?}");
    handler.list(handler.request().await.0, &["x"]);
    assert_eq!(lists.next().await, ["x"]);
    proxy.stop().await;
}

#[tokio::test]
async fn a_hung_handler_is_seen_and_forgiven() {
    let answer_deadline = Duration::from_millis(100);
    let first_answer = Duration::from_millis(20);
    let (_place, proxy, mut handler, mut lists, endpoint) =
        start(|config| ServeConfig { answer_deadline, first_answer, ..config }).await;
    handler.woken().await;
    // It neither reads its wake-ups nor answers.
    let mut second = discover(&endpoint, "b: 2").await;
    proxy.until("a hung handler", |state| state.handler.condition == Condition::Hung).await;
    lists.stays_silent().await;
    second.stays_silent().await;
    // For one that hangs no header waits.
    let (_third, headers) = try_discover(&endpoint, "c: 3", &[]).await.unwrap();
    assert!(headers < Duration::from_secs(2), "{headers:?}");
    handler.woken().await;
    for (id, request) in handler.requests(3).await {
        handler.list(id, &[request.details_text.as_str()]);
    }
    assert_eq!(second.next().await, ["b: 2"]);
    proxy.until("forgiveness", |state| state.handler.condition == Condition::Alive).await;
    proxy.stop().await;
}

/// A handler may take its time over a request that it crashed over: it is not hung.
#[tokio::test]
async fn a_request_that_failed_is_not_owed_by_the_next_life_of_the_handler() {
    let answer_deadline = Duration::from_millis(50);
    let first_answer = Duration::ZERO;
    let (place, proxy, handler, _lists, endpoint) =
        start(|config| ServeConfig { answer_deadline, first_answer, ..config }).await;
    let _crashing = discover(&endpoint, "b: 2").await;
    let requests = handler.requests(2).await;
    let (id, _) = requests.iter().find(|(_, request)| request.details_text == "b: 2").unwrap();
    handler.fail(*id, akri_exchange::Failure::unavailable("crashed"));
    proxy.until("a failure", |state| state.jobs.iter().any(|job| job.error.is_some())).await;
    drop(handler);
    let mut handler = Script::start(&place.exchange()).await;
    proxy.until("a new life", |state| state.handler.restarts == 1).await;
    // It listens, and says nothing about the request that it crashed over.
    for _ in 0..20 {
        if handler.rung() {
            handler.woken().await;
        }
        tokio::time::sleep(answer_deadline / 4).await;
    }
    assert_eq!(proxy.state().await.handler.condition, Condition::Alive);
    proxy.stop().await;
}

#[tokio::test]
async fn another_version_takes_over_without_a_stream_noticing() {
    let (place, proxy, handler, mut lists, _endpoint) = start(|config| config).await;
    let newer = Script::start_named(&place.exchange(), "debugEcho", "2.0").await;
    drop(handler);
    let state = proxy.until("the newer one", |state| state.handler.version.as_deref() == Some("2.0")).await;
    assert_eq!((state.handler.condition, state.handler.restarts), (Condition::Alive, 1));
    newer.list(newer.request().await.0, &["x", "y"]);
    assert_eq!(lists.next().await, ["x", "y"]);
    proxy.stop().await;
}

#[tokio::test]
async fn an_emptied_exchange_is_put_back() {
    let (place, proxy, handler, mut lists, _endpoint) = start(|config| config).await;
    for name in ["requests", "answers", "inputs"] {
        std::fs::remove_dir_all(place.exchange().join(name)).unwrap();
    }
    std::fs::remove_file(place.exchange().join("wake")).unwrap();
    eventually("a request", || {
        place.exchange().join("requests").exists() && requests(&place.exchange()).len() == 1
    })
    .await;
    assert!(handler.rung(), "the handler at the old FIFO has to hear of it");
    drop(handler);
    let handler = Script::start(&place.exchange()).await;
    handler.list(handler.request().await.0, &["back"]);
    assert_eq!(lists.next().await, ["back"]);
    proxy.stop().await;
}

/// Not only folders are put back: also what somebody removes in this proxy's own one.
#[tokio::test]
async fn a_request_or_a_lock_that_was_taken_away_is_put_back() {
    let (place, proxy, mut handler, mut lists, _endpoint) = start(|config| config).await;
    let request = requests(&place.exchange()).remove(0);
    for taken in [request.clone(), request.with_file_name("lock")] {
        std::fs::remove_file(&taken).unwrap();
        eventually("what was taken away", || taken.exists()).await;
        handler.woken_by(b'a').await;
    }
    handler.list(handler.request().await.0, &["more"]);
    assert_eq!(lists.next().await, ["more"]);
    proxy.stop().await;
}

#[tokio::test]
async fn a_changed_input_wakes_the_handler_for_everything() {
    let (place, proxy, mut handler, _lists, _endpoint) = start(|config| config).await;
    handler.woken().await;
    std::fs::write(place.exchange().join("inputs").join("availability"), "OFFLINE").unwrap();
    handler.woken_by(b'a').await;
    std::fs::remove_file(place.exchange().join("inputs").join("availability")).unwrap();
    handler.woken_by(b'a').await;
    proxy.stop().await;
}

/// The proxy's process is killed: its successor finds job and answer, also while the handler is dead.
#[tokio::test]
async fn a_killed_proxys_job_and_answer_are_found_by_its_successor() {
    let place = Place::new();
    let mut agent = Agent::start(&place.akri());
    let first = Process::start(program(&place).arg("serve"));
    let handler = Script::start(&place.exchange()).await;
    let endpoint = agent.registered().await.endpoint;
    let (mut lists, ()) = tokio::join!(discover(&endpoint, "a: 1"), async {
        handler.list(handler.request().await.0, &["x"]);
    });
    lists.next().await;
    first.kill();
    assert!(lists.end().await.is_err());
    assert_eq!(requests(&place.exchange()).len(), 1);
    drop(handler);

    let mut second = Process::start(program(&place).arg("serve"));
    assert_eq!(agent.registered().await.endpoint, endpoint);
    let mut lists = discover(&endpoint, "a: 1").await;
    assert_eq!(lists.next().await, ["x"]);
    assert_eq!(requests(&place.exchange()).len(), 1);
    drop(lists);
    eventually("the job's end", || requests(&place.exchange()).is_empty()).await;

    second.signal(rustix::process::Signal::TERM);
    assert!(soon("the end", second.end()).await.success());
}

/// With an agent, a stream and a handler that is not due, nothing wakes the processor.
#[tokio::test]
async fn waiting_costs_no_wake_ups() {
    let place = Place::new();
    let mut agent = Agent::start(&place.akri());
    let proxy = Process::start(program(&place).arg("serve"));
    let handler = Script::start(&place.exchange()).await;
    let endpoint = agent.registered().await.endpoint;
    let (mut lists, ()) = tokio::join!(discover(&endpoint, "a: 1"), async {
        handler.list(handler.request().await.0, &["x"]);
    });
    lists.next().await;
    // The repetition, the one second to ready: after that there is nothing more to do. (The answer's deadline of 10 s
    // is a timer that is set once and would be one wake-up.)
    lists.next().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let before = proxy.sleeps();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(proxy.sleeps() - before, 0);
}

/// Who deletes the directory and makes another one: the streams stay, and both sides find each other in the new one.
#[tokio::test]
async fn a_deleted_exchange_is_left_for_the_one_that_is_made_in_its_place() {
    let (place, proxy, handler, mut lists, _endpoint) = start(|config| config).await;
    std::fs::remove_dir_all(place.exchange()).unwrap();
    drop(handler);
    lists.stays_silent().await;
    std::fs::create_dir(place.exchange()).unwrap();
    let handler = Script::start(&place.exchange()).await;
    handler.list(handler.request().await.0, &["x", "y"]);
    assert_eq!(lists.next().await, ["x", "y"]);
    proxy.stop().await;
    assert!(place.exchange().join("stop").exists());
}

/// No descriptor is free: the server goes on, and what could not be read meanwhile is read later.
#[tokio::test]
async fn without_a_free_descriptor_nothing_ends_and_nothing_is_missed() {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    let place = Place::new();
    let mut agent = Agent::start(&place.akri());
    let mut proxy = Process::start(program(&place).arg("serve"));
    let handler = Script::start(&place.exchange()).await;
    let endpoint = agent.registered().await.endpoint;
    let (mut lists, id) = tokio::join!(discover(&endpoint, "a: 1"), async {
        let (id, _) = handler.request().await;
        handler.list(id, &["x"]);
        id
    });
    assert_eq!((lists.next().await, lists.next().await), (vec!["x".to_owned()], vec!["x".to_owned()]));

    let pid = Pid::from_raw(proxy.id().try_into().unwrap());
    let own = getrlimit(Resource::Nofile);
    // None of those that are open is taken away, but every new one is refused.
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(3), maximum: own.maximum }).unwrap();
    let waiting = tokio::spawn(async move { discover(&endpoint, "a: 1").await });
    proxy.says("cannot accept a connection").await;
    handler.list(id, &["x", "y"]);
    proxy.says("cannot keep the exchange directory in order").await;
    prlimit(pid, Resource::Nofile, own).unwrap();
    // The new stream may come first, and then begins with what was known before.
    for mut lists in [lists, soon("the stream", waiting).await.unwrap()] {
        while lists.next().await != ["x", "y"] {}
    }
    proxy.signal(rustix::process::Signal::TERM);
    assert!(soon("the end", proxy.end()).await.success());
}

/// What people write while no proxy lives is not lost either.
#[tokio::test]
async fn an_input_that_changed_while_no_proxy_lived_is_told_by_the_next() {
    let place = Place::new();
    let mut agent = Agent::start(&place.akri());
    let first = Process::start(program(&place).arg("serve"));
    let mut handler = Script::start(&place.exchange()).await;
    agent.registered().await;
    handler.woken_by(b'a').await;
    first.kill();
    std::fs::write(place.exchange().join("inputs").join("availability"), "OFFLINE").unwrap();
    let _second = Process::start(program(&place).arg("serve"));
    handler.woken_by(b'a').await;
}

/// A handler that lives on in a new directory has read the inputs of the old one.
#[tokio::test]
async fn an_input_that_changed_before_the_handler_was_back_is_told_once_it_is() {
    let (place, proxy, handler, mut lists, _endpoint) = start(|config| config).await;
    std::fs::remove_dir_all(place.exchange()).unwrap();
    drop(handler);
    lists.stays_silent().await;
    std::fs::create_dir(place.exchange()).unwrap();
    let there = || place.exchange().join("requests").exists() && requests(&place.exchange()).len() == 1;
    eventually("the request", there).await;
    std::fs::write(place.exchange().join("inputs").join("availability"), "OFFLINE").unwrap();
    // Time for the proxy to see that, while there is nobody to ring.
    lists.stays_silent().await;
    let mut handler = Script::start(&place.exchange()).await;
    handler.woken_by(b'a').await;
    proxy.stop().await;
}
