//! Akri's debugEcho, in WebAssembly: a device for each description in the details. For tests and demonstrations.
//!
//! `inputs/availability` containing `OFFLINE` takes all devices away; anything else, or no such file, brings them back.
//! `DEBUG_ECHO_INSTANCES_SHARED` (`true` or `false`, by default `true`) says whether several nodes see the same devices.

use std::time::Duration;

use akri_handler_sdk::{Context, Device, Failure, Handler};

/// The name that Configurations give.
const NAME: &str = "debugEcho";
/// The property that brokers get.
const DEBUG_ECHO_DESCRIPTION: &str = "DEBUG_ECHO_DESCRIPTION";
/// Akri's own variable for this handler.
const DEBUG_ECHO_INSTANCES_SHARED: &str = "DEBUG_ECHO_INSTANCES_SHARED";
/// The input that takes the devices offline.
const AVAILABILITY: &str = "availability";
/// What it then contains.
const OFFLINE: &str = "OFFLINE";
/// Inputs wake the handler; this only catches what a missed wake-up would lose.
const RESCAN: Duration = Duration::from_secs(60);

#[derive(Debug, serde::Deserialize)]
struct Details {
    descriptions: Vec<String>,
}

fn discover(details: &Details, context: &Context) -> Result<Vec<Device>, Failure> {
    let availability = context.input(AVAILABILITY).unwrap_or_default();
    if availability.windows(OFFLINE.len()).any(|part| part == OFFLINE.as_bytes()) {
        return Ok(Vec::new());
    }
    let echo = |text: &String| Device::new(text).property(DEBUG_ECHO_DESCRIPTION, text);
    Ok(details.descriptions.iter().map(echo).collect())
}

/// Whether the devices are shared, from the variable's value.
fn shared(value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("" | "true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(format!("{DEBUG_ECHO_INSTANCES_SHARED}={other:?}: give true or false")),
    }
}

fn main() {
    let value = std::env::var(DEBUG_ECHO_INSTANCES_SHARED).ok();
    let shared = shared(value.as_deref()).unwrap_or_else(|error| panic!("{error}"));
    Handler::new(NAME).version(env!("CARGO_PKG_VERSION")).shared(shared).rescan(RESCAN).run(discover);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(descriptions: serde_json::Value, context: &Context) -> Vec<Device> {
        discover(&serde_json::from_value(descriptions).unwrap(), context).unwrap()
    }

    #[test]
    fn a_device_for_each_description_in_their_order() {
        let devices = found(serde_json::json!({"descriptions": ["b", "a", "b"]}), &Context::for_tests());
        let expected = ["b", "a", "b"].map(|text| Device::new(text).property("DEBUG_ECHO_DESCRIPTION", text));
        assert_eq!(devices, expected);
        assert_eq!(found(serde_json::json!({"descriptions": []}), &Context::for_tests()), []);
    }

    #[test]
    fn offline_takes_them_away() {
        let details = || serde_json::json!({"descriptions": ["foo0"]});
        for (input, count) in [("OFFLINE", 0), ("it is OFFLINE\n", 0), ("ONLINE", 1), ("", 1), ("offline", 1)]
        {
            let context = Context::for_tests().with_input(AVAILABILITY, input);
            assert_eq!(found(details(), &context).len(), count, "{input:?}");
        }
    }

    #[test]
    fn shared_unless_told_otherwise() {
        assert_eq!((shared(None), shared(Some("")), shared(Some("true"))), (Ok(true), Ok(true), Ok(true)));
        assert_eq!(shared(Some("false")), Ok(false));
        assert!(shared(Some("no")).is_err());
    }
}
