//! A panic in the author's function.

use std::time::{Duration, Instant};

use akri_exchange::{FailureKind, Outcome, Wake, layout};
use akri_handler_sdk::{Context, Device, Failure, Handler};

use crate::exchange::{Exchange, details};
use crate::running::{Details, NAME, Running, echo, start, start_as};

/// Panics over the description `bad` whenever the input `crash` is there, and adds a device when `more` is.
fn touchy(details: &Details, context: &Context) -> Result<Vec<Device>, Failure> {
    let bad = details.descriptions.iter().any(|text| text == "bad");
    assert!(!bad || context.input("crash").is_none(), "bad luck\nwith this one");
    echo(details, context)
}

fn start_touchy(exchange: &Exchange) -> Running {
    start_as(exchange, Handler::new(NAME), touchy)
}

fn crash(exchange: &Exchange) {
    std::fs::write(exchange.path(layout::INPUTS).join("crash"), "").unwrap();
}

fn calm(exchange: &Exchange) {
    std::fs::remove_file(exchange.path(layout::INPUTS).join("crash")).unwrap();
}

#[test]
fn a_job_without_a_list_gets_to_see_the_panic() {
    let exchange = Exchange::new();
    crash(&exchange);
    let running = start_touchy(&exchange);
    let (good, _) = exchange.ask(0, &details(["good"]));
    let (bad, answer) = exchange.ask(0, &details(["bad"]));
    running.crashed();
    let Outcome::Failed(failure) = answer.outcome else { panic!("a failure") };
    assert_eq!((failure.kind, failure.crashes), (FailureKind::Unavailable, 1));
    assert!(failure.message.contains("bad luck with this one"), "{failure}");
    exchange.list(good, ["good"]);

    // The next life crashes over it again, later, and counts on.
    let running = start_touchy(&exchange);
    running.crashed();
    let Outcome::Failed(failure) = exchange.answer(bad).outcome else { panic!("a failure") };
    assert_eq!(failure.crashes, 2);

    // And when the cause is gone, nothing is left of it.
    calm(&exchange);
    let running = start(&exchange);
    exchange.list(bad, ["bad"]);
    running.stop(&exchange);
    let mut expected = [layout::message(good), layout::message(bad)];
    expected.sort();
    assert_eq!(exchange.answer_names(), expected);
}

#[test]
fn a_job_with_a_list_keeps_it() {
    let exchange = Exchange::new();
    let running = start_touchy(&exchange);
    let (good, _) = exchange.ask(0, &details(["good"]));
    let (bad, _) = exchange.ask(0, &details(["bad"]));
    let before = (exchange.identity(good), exchange.identity(bad));
    crash(&exchange);
    exchange.ring(Wake::Everything);
    running.crashed();
    assert_eq!((exchange.identity(good), exchange.identity(bad)), before);
    exchange.list(bad, ["bad"]);
}

#[test]
fn the_next_life_serves_the_others_first() {
    let exchange = Exchange::new();
    crash(&exchange);
    let running = start_touchy(&exchange);
    let (bad, _) = exchange.ask(0, &details(["bad"]));
    running.crashed();
    calm(&exchange);
    let others = ["a", "b", "c"].map(|text| exchange.put(0, &details([text])));
    let begin = Instant::now();
    let running = start_touchy(&exchange);
    for (id, text) in others.into_iter().zip(["a", "b", "c"]) {
        exchange.list(id, [text]);
    }
    // Being rung for does not cut its wait short.
    exchange.ring(Wake::Everything);
    exchange.list(bad, ["bad"]);
    assert!(begin.elapsed() >= Duration::from_secs(1), "the first wait is a second");
    let calls = running.all_calls();
    assert_eq!((calls.last().unwrap().as_str(), running.calls("bad")), ("bad", 1), "{calls:?}");
    // It is a job like any other again.
    exchange.ring(Wake::Everything);
    running.called("bad", 2);
    running.stop(&exchange);
}

#[test]
fn a_withdrawn_job_takes_its_crashes_along() {
    let exchange = Exchange::new();
    crash(&exchange);
    let running = start_touchy(&exchange);
    let (bad, _) = exchange.ask(0, &details(["bad"]));
    running.crashed();
    // Even where its answer is gone already.
    std::fs::remove_file(exchange.answer_path(bad)).unwrap();
    exchange.withdraw(0, bad);
    let running = start(&exchange);
    exchange.turn();
    running.stop(&exchange);
    assert!(exchange.answer_names().iter().all(|name| !name.contains(&bad.to_string())));
}
