//! When jobs are looked at: woken, at the interval, and never otherwise.

use std::fs;
use std::time::{Duration, Instant};

use akri_exchange::{Wake, layout};
use akri_handler_sdk::{Context, Device, Handler};

use crate::exchange::{Exchange, details, wait_for};
use crate::running::{Details, NAME, echo, rescanning, start, start_as};

#[test]
fn a_request_wakes_its_own_job_only() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    exchange.ask(0, &details(["a"]));
    for _ in 0..3 {
        exchange.turn();
    }
    assert_eq!(running.calls("a"), 1);
    running.stop(&exchange);
}

#[test]
fn everything_wakes_every_job() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    exchange.ask(0, &details(["a"]));
    exchange.ask(0, &details(["b"]));
    exchange.ring(Wake::Everything);
    running.called("a", 2);
    running.called("b", 2);
    exchange.turn();
    assert_eq!((running.calls("a"), running.calls("b")), (2, 2));
    running.stop(&exchange);
}

#[test]
fn an_input_is_read_at_each_look() {
    let exchange = Exchange::new();
    let by_input = |details: &Details, context: &Context| match context.input("mode").as_deref() {
        Some(b"off") => Ok(vec![]),
        _ => echo(details, context),
    };
    let running = start_as(&exchange, Handler::new(NAME), by_input);
    let (id, _) = exchange.ask(0, &details(["a"]));
    exchange.list(id, ["a"]);
    fs::write(exchange.path(layout::INPUTS).join("mode"), "off").unwrap();
    exchange.ring(Wake::Everything);
    exchange.list(id, []);
    fs::remove_file(exchange.path(layout::INPUTS).join("mode")).unwrap();
    exchange.ring(Wake::Everything);
    exchange.list(id, ["a"]);
    running.stop(&exchange);
}

#[test]
fn the_interval_looks_again_by_itself() {
    let exchange = Exchange::new();
    let interval = Duration::from_millis(50);
    let mut looks = 0;
    let count = move |_: &Details, _: &Context| {
        looks += 1;
        Ok(vec![Device::new(looks.to_string())])
    };
    let running = start_as(&exchange, rescanning(interval), count);
    let start = Instant::now();
    let (id, _) = exchange.ask(0, &details(["a"]));
    exchange.list(id, ["4"]);
    let elapsed = start.elapsed();
    assert!(elapsed >= interval * 3, "four looks within {elapsed:?}");
    running.stop(&exchange);
}

#[test]
fn nothing_to_do_wakes_nobody() {
    let exchange = Exchange::new();
    let running = start_as(&exchange, rescanning(Duration::from_secs(3600)), echo);
    exchange.ask(0, &details(["a"]));
    running.asleep();
    // A window of time, not a state that is waited for: nothing may happen in it. The answer is seen before the loop is
    // back at its wait, so the first window may still hold the way there.
    wait_for("an idle handler", || {
        let before = running.switches();
        std::thread::sleep(Duration::from_millis(200));
        (running.switches() == before).then_some(())
    });
    let before = running.switches();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(running.switches(), before);
    assert_eq!(running.calls("a"), 1);
    running.stop(&exchange);
}

#[test]
fn many_rings_at_once_are_all_heard() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let ids: Vec<_> = (0..100)
        .map(|n| {
            let id = exchange.put(0, &details([&n.to_string()]));
            exchange.ring(Wake::Requests);
            id
        })
        .collect();
    for (n, id) in ids.into_iter().enumerate() {
        exchange.list(id, [&n.to_string()]);
    }
    running.stop(&exchange);
}
