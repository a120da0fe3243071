//! What does not belong there costs the rest nothing.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use akri_exchange::{Properties, RequestId, Wake, layout, limits};
use akri_handler_sdk::{Context, Device, Handler};
use rustix::fs::{CWD, Mode};

use crate::exchange::{Exchange, details};
use crate::running::{Details, NAME, start, start_as};

fn id(seed: &str) -> RequestId {
    RequestId::of(seed, &Properties::default())
}

#[test]
fn hostile_requests_are_passed_over() {
    let exchange = Exchange::new();
    let request = |seed: &str| exchange.request_path(0, id(seed));
    fs::write(request("empty"), "").unwrap();
    fs::write(request("torn"), r#"{"protocol":1,"id":"#).unwrap();
    fs::write(request("other"), format!(r#"{{"protocol":1,"id":"{}"}}"#, id("x"))).unwrap();
    fs::write(request("later"), format!(r#"{{"protocol":2,"id":"{}"}}"#, id("later"))).unwrap();
    fs::write(request("bytes"), b"\xff\xfe").unwrap();
    fs::write(request("large"), vec![b' '; limits::REQUEST_BYTES + 1]).unwrap();
    fs::write(request("nested"), "[".repeat(100_000)).unwrap();
    fs::create_dir(request("folder")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", request("endless")).unwrap();
    std::os::unix::fs::symlink("nowhere", request("nowhere")).unwrap();
    rustix::fs::mkfifoat(CWD, request("fifo"), Mode::from_raw_mode(0o600)).unwrap();
    let folder = request("x").parent().unwrap().to_owned();
    fs::write(folder.join("lock"), "").unwrap();
    fs::write(folder.join("notes.json"), "{}").unwrap();
    fs::write(folder.join(OsStr::from_bytes(b"\xff.json")), "{}").unwrap();
    fs::write(folder.join(format!(".{}.x", layout::message(id("x")))), "{}").unwrap();
    fs::write(exchange.path(layout::REQUESTS).join("stray"), "").unwrap();
    let running = start(&exchange);
    let (good, _) = exchange.ask(0, &details(["good"]));
    exchange.list(good, ["good"]);
    assert_eq!(exchange.answer_names(), [layout::message(good)]);
    running.stop(&exchange);
}

#[test]
fn another_proxys_bad_copy_does_not_hide_a_good_one() {
    for (bad, good) in [(0, 1), (1, 0)] {
        let exchange = Exchange::new();
        let asked = exchange.put(good, &details(["a"]));
        fs::write(exchange.request_path(bad, asked), "{").unwrap();
        let running = start(&exchange);
        exchange.ring(Wake::Requests);
        exchange.list(asked, ["a"]);
        running.stop(&exchange);
    }
}

#[test]
fn a_folder_of_answers_full_of_rubbish_is_none_of_ours() {
    let exchange = Exchange::new();
    let answers = exchange.path(layout::ANSWERS);
    fs::create_dir(answers.join(layout::message(id("folder")))).unwrap();
    fs::write(answers.join("notes"), "").unwrap();
    let running = start(&exchange);
    let (good, _) = exchange.ask(0, &details(["good"]));
    exchange.list(good, ["good"]);
    running.stop(&exchange);
    assert!(answers.join("notes").exists());
}

#[test]
fn inputs_that_are_no_files_are_no_inputs() {
    let exchange = Exchange::new();
    let inputs = exchange.path(layout::INPUTS);
    rustix::fs::mkfifoat(CWD, inputs.join("fifo"), Mode::from_raw_mode(0o600)).unwrap();
    fs::create_dir(inputs.join("folder")).unwrap();
    fs::write(inputs.join("large"), vec![b'x'; limits::INPUT_BYTES + 1]).unwrap();
    fs::write(inputs.join("full"), vec![b'x'; limits::INPUT_BYTES]).unwrap();
    let seen = |_: &Details, context: &Context| {
        let names = ["fifo", "folder", "large", "full", "none", "../handler.json"];
        Ok(names.into_iter().filter(|name| context.input(name).is_some()).map(Device::new).collect())
    };
    let running = start_as(&exchange, Handler::new(NAME), seen);
    let (asked, _) = exchange.ask(0, &details(["a"]));
    exchange.list(asked, ["full"]);
    running.stop(&exchange);
}

#[test]
fn more_requests_than_the_limit_cost_no_more_than_the_limit() {
    let exchange = Exchange::new();
    for n in 0..limits::REQUESTS + 20 {
        exchange.put(0, &details([&n.to_string()]));
    }
    let running = start(&exchange);
    crate::exchange::wait_for("all answers", || {
        (exchange.answer_names().iter().filter(|name| !name.starts_with('.')).count() == limits::REQUESTS)
            .then_some(())
    });
    running.stop(&exchange);
    assert_eq!(exchange.answer_names().len(), limits::REQUESTS);
}
