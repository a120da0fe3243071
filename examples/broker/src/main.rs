//! A broker for Akri, in WebAssembly: says which device it was given, again and again, as one that used it would.
//!
//! Akri puts a device's properties into the environment, as `NAME` or, for a pod with several devices, as `NAME_HASH`.
//! `ROUNDS` is how often it says so; without it, for ever. `PAUSE_SECONDS` (10) is between two of them.

use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

/// The property of debugEcho's devices.
const PROPERTY: &str = "DEBUG_ECHO_DESCRIPTION";
const ROUNDS: &str = "ROUNDS";
const PAUSE_SECONDS: &str = "PAUSE_SECONDS";

fn main() -> ExitCode {
    let devices = devices(env::vars());
    if devices.is_empty() {
        // An exit code would be lost under crun: a panic is what is seen.
        panic!("no device: there is no variable {PROPERTY}");
    }
    let rounds = number(ROUNDS).unwrap_or(u64::MAX);
    let pause = Duration::from_secs(number(PAUSE_SECONDS).unwrap_or(10));
    for round in 1..=rounds {
        for (name, value) in &devices {
            println!("round {round}: {name}={value}");
        }
        if round < rounds {
            thread::sleep(pause);
        }
    }
    ExitCode::SUCCESS
}

/// The devices' properties in the environment, in the order of their names.
fn devices(variables: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let ours =
        |name: &str| name.strip_prefix(PROPERTY).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    let mut devices: Vec<_> = variables.filter(|(name, _)| ours(name)).collect();
    devices.sort();
    devices
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is no whole number")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn devices_are_the_property_with_and_without_a_hash() {
        let variables =
            ["DEBUG_ECHO_DESCRIPTION_8120FE", "PATH", "DEBUG_ECHO_DESCRIPTION", "DEBUG_ECHO_DESCRIPTIONS"];
        let named = super::devices(variables.map(|name| (name.to_owned(), "foo0".to_owned())).into_iter());
        let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["DEBUG_ECHO_DESCRIPTION", "DEBUG_ECHO_DESCRIPTION_8120FE"]);
    }
}
