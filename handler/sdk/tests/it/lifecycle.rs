//! Start, announcement, stop, and a directory that changes beneath the handler.

use std::fs;
use std::io::Write;
use std::time::Duration;

use akri_exchange::{Wake, layout};
use akri_handler_sdk::Handler;

use crate::exchange::{Exchange, details, wait_for};
use crate::running::{NAME, echo, start, start_as};

#[test]
fn a_handler_waits_for_the_proxy_to_make_the_exchange() {
    let exchange = Exchange::empty();
    let running = start(&exchange);
    running.asleep();
    assert!(running.is_running() && !exchange.path(layout::HELLO).exists());
    exchange.make();
    assert_eq!(exchange.hello().name.as_str(), NAME);
    let (id, _) = exchange.ask(0, &details(["a"]));
    exchange.list(id, ["a"]);
    running.stop(&exchange);
}

#[test]
fn the_announcement_says_what_the_author_said() {
    let exchange = Exchange::new();
    let mut instances = Vec::new();
    for _ in 0..3 {
        let handler = Handler::new("my.handler")
            .version("1.2.3")
            .shared(true)
            .rescan(Duration::from_millis(7500))
            .removal_grace(Duration::from_millis(1500));
        let running = start_as(&exchange, handler, echo);
        let hello = exchange.hello();
        assert_eq!(hello.name.as_str(), "my.handler");
        assert_eq!((hello.version.as_str(), hello.shared), ("1.2.3", true));
        assert_eq!((hello.rescan_ms, hello.removal_grace_ms), (7500, 1500));
        instances.push(hello.instance);
        running.stop(&exchange);
    }
    instances.sort();
    instances.dedup();
    assert_eq!(instances.len(), 3, "each start has a mark of its own");
}

#[test]
fn a_proxy_never_refuses_an_announcement_for_its_times() {
    let exchange = Exchange::new();
    let handler = Handler::new(NAME).rescan(Duration::MAX).removal_grace(Duration::MAX);
    let running = start_as(&exchange, handler, echo);
    let hello = exchange.hello();
    assert_eq!((hello.rescan_ms, hello.removal_grace_ms), (86_400_000, 3_600_000));
    let (id, _) = exchange.ask(0, &details(["a"]));
    exchange.list(id, ["a"]);
    running.stop(&exchange);
}

#[test]
fn who_stops_takes_the_announcement_back_and_leaves_the_answers() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let (id, _) = exchange.ask(0, &details(["a"]));
    running.stop(&exchange);
    assert!(!exchange.path(layout::HELLO).exists());
    exchange.list(id, ["a"]);
}

#[test]
fn a_stop_from_a_former_life_is_forgotten() {
    let exchange = Exchange::new();
    fs::write(exchange.path(layout::STOP), "").unwrap();
    let running = start(&exchange);
    exchange.hello();
    assert!(!exchange.path(layout::STOP).exists());
    exchange.ask(0, &details(["a"]));
    running.stop(&exchange);
}

#[test]
fn without_a_directory_it_fails() {
    let exchange = Exchange::empty();
    fs::remove_dir(exchange.root()).unwrap();
    assert_eq!(start(&exchange).failed().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_wake_that_is_no_fifo_is_an_error_and_not_a_busy_loop() {
    let exchange = Exchange::empty();
    fs::write(exchange.path(layout::WAKE), "").unwrap();
    let error = start(&exchange).failed();
    assert!(error.to_string().contains("FIFO"), "{error}");
}

#[test]
fn an_emptied_and_remade_directory_is_announced_in_again() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let before = exchange.hello();
    let (id, _) = exchange.ask(0, &details(["a"]));
    let mut old_bell = exchange.bell();
    for name in [layout::REQUESTS, layout::ANSWERS, layout::INPUTS] {
        fs::remove_dir_all(exchange.path(name)).unwrap();
    }
    fs::remove_file(exchange.path(layout::HELLO)).unwrap();
    fs::remove_file(exchange.path(layout::WAKE)).unwrap();
    exchange.make();
    old_bell.write_all(&[Wake::Everything.byte()]).unwrap();
    assert_eq!(exchange.hello(), before, "the same life of the same handler");
    assert_eq!(exchange.ask(0, &details(["a"])).0, id);
    exchange.list(id, ["a"]);
    running.stop(&exchange);
}

#[test]
fn who_waits_for_a_lost_fifo_still_stops_when_asked() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    exchange.hello();
    let mut bell = exchange.bell();
    fs::remove_file(exchange.path(layout::WAKE)).unwrap();
    fs::write(exchange.path(layout::STOP), "").unwrap();
    bell.write_all(&[Wake::Requests.byte()]).unwrap();
    wait_for("the end", || (!running.is_running()).then_some(()));
}

/// Both at once: nobody may be left with a directory that nobody sees any more.
#[test]
fn a_directory_that_is_deleted_and_made_anew_is_found_also_when_it_happens_twice() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let before = exchange.hello();
    let mut bell = exchange.bell();
    fs::remove_dir_all(exchange.root()).unwrap();
    bell.write_all(&[Wake::Everything.byte()]).unwrap();
    running.asleep();
    assert!(running.is_running());
    // There, but not for long: whoever opened it then must not wait for a FIFO in it.
    for _ in 0..20 {
        fs::create_dir(exchange.root()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        fs::remove_dir(exchange.root()).unwrap();
    }
    fs::create_dir(exchange.root()).unwrap();
    exchange.make();
    assert_eq!(exchange.hello(), before);
    let (id, _) = exchange.ask(0, &details(["a"]));
    exchange.list(id, ["a"]);
    running.stop(&exchange);
}

/// The proxy had not seen the announcement yet, so it could not ring either.
#[test]
fn an_announcement_that_was_removed_before_anybody_saw_it_is_made_again() {
    let exchange = Exchange::new();
    let running = start(&exchange);
    let before = exchange.hello();
    running.asleep();
    for name in [layout::REQUESTS, layout::ANSWERS, layout::INPUTS] {
        fs::remove_dir_all(exchange.path(name)).unwrap();
    }
    fs::remove_file(exchange.path(layout::WAKE)).unwrap();
    fs::remove_file(exchange.path(layout::HELLO)).unwrap();
    exchange.make();
    // Nobody rings.
    assert_eq!(exchange.hello(), before);
    running.stop(&exchange);
}

/// No room, no rights: the kubelet would restart a handler that ends, ever later.
#[test]
fn an_announcement_that_cannot_be_written_is_tried_again() {
    let exchange = Exchange::new();
    // Not by modes, which root passes over: a folder cannot be replaced by a file.
    fs::create_dir(exchange.path(layout::HELLO)).unwrap();
    let running = start(&exchange);
    running.asleep();
    std::thread::sleep(Duration::from_millis(100));
    assert!(running.is_running());
    fs::remove_dir(exchange.path(layout::HELLO)).unwrap();
    exchange.hello();
    let (id, _) = exchange.ask(0, &details(["a"]));
    exchange.list(id, ["a"]);
    running.stop(&exchange);
}
