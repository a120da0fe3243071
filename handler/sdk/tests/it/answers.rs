//! What is answered, how it is written, and when it goes.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use akri_exchange::{Failure, FailureKind, Outcome, Properties, Request, Wake, layout};
use akri_handler_sdk::{Context, Device, Handler};

use crate::exchange::{Exchange, details, listed, wait_for};
use crate::running::{Details, NAME, start, start_as};

fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        Outcome::Devices(devices) => panic!("a list: {devices:?}"),
    }
}

#[test]
fn one_job_and_several() {
    let exchange = Exchange::new();
    let early = exchange.put(0, &details(["early", "bird"]));
    let running = start(&exchange);
    exchange.list(early, ["early", "bird"]);
    let (empty, answer) = exchange.ask(0, &details([]));
    assert_eq!(answer.outcome, listed([]));
    let (other, _) = exchange.ask(1, &details(["b", "a", "b"]));
    exchange.list(other, ["b", "a", "b"]);
    assert!(exchange.answer_now(early).is_some() && exchange.answer_now(empty).is_some());
    running.stop(&exchange);
}

#[test]
fn a_reader_never_sees_half_an_answer() {
    const REWRITES: usize = 3000;
    let exchange = Exchange::new();
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = looks.clone();
    let growing = move |_: &Details, _: &Context| {
        let look = counted.fetch_add(1, Ordering::SeqCst);
        Ok((0..look % 40).map(|_| Device::new(look.to_string()).property("FILL", "x".repeat(200))).collect())
    };
    let running = start_as(&exchange, Handler::new(NAME), growing);
    let (id, _) = exchange.ask(0, &details(["a"]));
    let mut rung = 0;
    loop {
        let looked = looks.load(Ordering::SeqCst);
        if looked > REWRITES {
            break;
        }
        if looked > rung {
            rung = looked;
            exchange.ring(Wake::Everything);
        }
        // Parses, or fails the test; and all devices are of one look.
        let answer = exchange.answer_now(id).expect("an answer that was there is always there");
        let Outcome::Devices(devices) = answer.outcome else { panic!("a list") };
        assert!(devices.windows(2).all(|pair| pair[0].id == pair[1].id));
    }
    running.stop(&exchange);
    assert_eq!(exchange.answer_names(), [layout::message(id)], "no temporary file is left");
}

#[test]
fn an_unchanged_answer_is_left_alone() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let (id, _) = exchange.ask(0, &details(["a"]));
    let before = exchange.identity(id);
    for look in 2..5 {
        exchange.ring(Wake::Everything);
        running.called("a", look);
    }
    exchange.turn();
    assert_eq!(exchange.identity(id), before);
    running.stop(&exchange);
}

#[test]
fn an_answer_goes_with_its_request() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let (id, _) = exchange.ask(0, &details(["a"]));
    let (stays, _) = exchange.ask(0, &details(["b"]));
    exchange.withdraw(0, id);
    exchange.ring(Wake::Requests);
    wait_for("the answer to go", || exchange.answer_now(id).is_none().then_some(()));
    assert!(exchange.answer_now(stays).is_some());
    exchange.ask(0, &details(["a"]));
    assert_eq!(running.calls("a"), 2, "asked again, answered again");
    running.stop(&exchange);
}

#[test]
fn answers_of_a_former_life_that_nobody_asks_for_go_at_the_start() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let (id, _) = exchange.ask(0, &details(["a"]));
    running.stop(&exchange);
    exchange.withdraw(0, id);
    let running = start(&exchange);
    exchange.turn();
    assert!(exchange.answer_now(id).is_none());
    running.stop(&exchange);
}

#[test]
fn two_proxies_share_one_answer() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let (id, _) = exchange.ask(0, &details(["a"]));
    assert_eq!(exchange.put(1, &details(["a"])), id);
    exchange.ring(Wake::Requests);
    exchange.turn();
    exchange.withdraw(0, id);
    exchange.ring(Wake::Requests);
    exchange.turn();
    assert_eq!(running.calls("a"), 1);
    assert!(exchange.answer_now(id).is_some(), "one proxy still asks");
    exchange.withdraw(1, id);
    exchange.ring(Wake::Requests);
    wait_for("the answer to go", || exchange.answer_now(id).is_none().then_some(()));
    running.stop(&exchange);
}

#[test]
fn bad_details_are_told_with_their_field() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    for (json, field) in [
        (r#"{"descriptions":["a",7]}"#, Some("descriptions[1]")),
        ("{}", Some("descriptions")),
        ("null", Some("descriptions")),
        ("[]", None),
        (r#""text""#, None),
    ] {
        let failure = failure(exchange.ask(0, json).1.outcome);
        assert_eq!((failure.kind, failure.field.as_deref()), (FailureKind::InvalidDetails, field), "{json}");
    }
    assert_eq!(running.all_calls(), Vec::<String>::new(), "the author's function never sees them");
    running.stop(&exchange);
}

#[test]
fn details_that_are_no_yaml_are_told() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let id = exchange.put_request(
        0,
        &Request {
            details_text: "a: [".into(),
            details_json: None,
            details_error: Some("line 1: no end".into()),
            properties: Properties::default(),
        },
    );
    exchange.ring(Wake::Requests);
    let failure = failure(exchange.answer(id).outcome);
    assert_eq!(failure.kind, FailureKind::InvalidDetails);
    assert!(failure.message.contains("YAML") && failure.message.contains("line 1: no end"), "{failure}");
    running.stop(&exchange);
}

#[test]
fn a_device_that_the_proxy_would_refuse_is_the_authors_to_see() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let failure = failure(exchange.ask(0, &details(["good", "a\nb"])).1.outcome);
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains("device id"), "{failure}");
    running.stop(&exchange);
}

#[test]
fn emptied_answers_are_written_again() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let (a, _) = exchange.ask(0, &details(["a"]));
    let (b, _) = exchange.ask(0, &details(["b"]));
    fs::remove_file(exchange.answer_path(a)).unwrap();
    exchange.ring(Wake::Requests);
    exchange.list(a, ["a"]);
    exchange.turn();
    assert_eq!(running.calls("b"), 1);
    exchange.list(b, ["b"]);
    running.stop(&exchange);
}

#[test]
fn what_cannot_be_written_is_tried_again() {
    let exchange = Exchange::new();
    fs::remove_dir(exchange.path(layout::ANSWERS)).unwrap();
    let running = start(&exchange);
    let id = exchange.put(0, &details(["a"]));
    exchange.ring(Wake::Requests);
    running.called("a", 1);
    running.asleep();
    fs::create_dir(exchange.path(layout::ANSWERS)).unwrap();
    // Nobody rings.
    exchange.list(id, ["a"]);
    assert_eq!(running.calls("a"), 1, "a look at the devices may be dear: what it found is kept");
    running.stop(&exchange);
}
