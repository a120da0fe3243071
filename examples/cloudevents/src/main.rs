//! CloudEvents from WebAssembly: builds an event, POSTs it to a service in HTTP's binary mode, reads the reply, again and again.
//!
//! - `event` is what is sent, and what must come back;
//! - `url`, `http` are as much of HTTP/1.1 as that takes;
//! - `os_*` is what needs the engine: a socket, the wait, random bytes.
//!
//! From the environment: `SERVICE`, an `http://ADDRESS:PORT/PATH` (no name, for there is no resolver, and no TLS);
//! `INTERVAL_SECONDS` (15); `EVENTS`, how many, for ever without it; `POD_NAME`, for the events' source.

mod event;
mod http;
#[cfg_attr(target_os = "wasi", path = "os_wasi.rs")]
#[cfg_attr(not(target_os = "wasi"), path = "os_native.rs")]
mod os;
mod url;

use std::env;
use std::str::FromStr;
use std::time::Duration;

use event::Event;
use url::Url;

const SERVICE: &str = "SERVICE";
const INTERVAL_SECONDS: &str = "INTERVAL_SECONDS";
const EVENTS: &str = "EVENTS";
const POD_NAME: &str = "POD_NAME";
/// Where the service is in the same pod.
const DEFAULT_SERVICE: &str = "http://127.0.0.1:8080/";
const DEFAULT_INTERVAL: u64 = 15;

fn main() {
    let service: Url = variable(SERVICE).unwrap_or_else(|| DEFAULT_SERVICE.parse().expect("it is one"));
    let interval = Duration::from_secs(variable(INTERVAL_SECONDS).unwrap_or(DEFAULT_INTERVAL));
    let events = variable(EVENTS).unwrap_or(u64::MAX);
    let source = format!("/akri-wasm/examples/cloudevents/{}", env::var(POD_NAME).unwrap_or_default());
    println!("events go to {service} every {} s", interval.as_secs());
    for sequence in 1..=events {
        let event = Event::new(&source, sequence);
        // The service may be away for a while: the next event tries again.
        match http::post(&service, &event) {
            Ok(receipt) => println!("event {} is number {} of the service", event.id, receipt.count),
            Err(error) => eprintln!("event {}: {}", event.id, chain(&error)),
        }
        if sequence < events {
            os::pause(interval);
        }
    }
}

/// A variable's value. What cannot be understood is no default: under crun an exit code is lost, and a panic is seen.
fn variable<T: FromStr<Err: std::fmt::Display>>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text:?}: {error}")))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
