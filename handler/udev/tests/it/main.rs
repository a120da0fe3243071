//! The handler's function through its public door, on machines in folders.
#![cfg(not(target_os = "wasi"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod costs;
mod discovering;
#[allow(dead_code, reason = "the other crate's tests use the rest")]
#[path = "../../../sysfs/tests/it/fixture.rs"]
mod fixture;
mod parity;

use akri_handler_sdk::{Context, Failure};
use akri_sysfs::Sysfs;
use fixture::Machine;
use udev_handler::{Details, Found, discover};

/// What the handler finds on a machine.
pub(crate) fn found(
    machine: &Machine,
    details: serde_json::Value,
    context: &Context,
) -> Result<Found, Failure> {
    let details: Details = serde_json::from_value(details).unwrap();
    discover(&details, context, || Sysfs::open(&machine.places(), |_| ()))
}

/// The ids of the devices of these rules.
pub(crate) fn ids(machine: &Machine, rules: &[&str]) -> Vec<String> {
    let found = found(machine, serde_json::json!({"udevRules": rules}), &Context::for_tests()).unwrap();
    found.devices.into_iter().map(|device| device.id).collect()
}
