//! The lists of Akri's native handler for many rules on the machine of `fixture::desk`, held against ours.
//!
//! `parity/desk.json` has been made by running the native handler, version 0.13.26, on that machine; where it is wrong, the
//! case says so in `differs` and has our list beside (docs/udev.md, "Differences"). The order of a group's nodes is
//! random natively, and stands there as ours.

use std::collections::BTreeSet;

use akri_handler_sdk::{Context, Device};
use serde::Deserialize;
use serde_json::Value;
use udev_handler::Details;

use crate::fixture::{Machine, desk, furnish};

const CASES: &str = include_str!("../parity/desk.json");

#[derive(Deserialize)]
struct Case {
    details: Value,
    #[serde(default)]
    properties: std::collections::BTreeMap<String, String>,
    /// What the native handler says.
    native: Outcome,
    /// What we say, where that is not the same.
    ours: Option<Outcome>,
    /// Why it is not.
    differs: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// Refused, or a stream that ends without a list: natively a crash.
    Refused,
    Devices(Vec<Device>),
}

fn outcome(machine: &Machine, case: &Case) -> Outcome {
    let Ok(details) = serde_json::from_value::<Details>(case.details.clone()) else {
        return Outcome::Refused;
    };
    let value = |name: &str| case.properties.get(name).map(|value| value.as_bytes());
    let context = Context::for_tests().with_properties([
        ("devicePluginResourceName", value("devicePluginResourceName")),
        ("vfioPassthrough", value("vfioPassthrough")),
    ]);
    let open = || akri_sysfs::Sysfs::open(&machine.places(), |_| ());
    match udev_handler::discover(&details, &context, open) {
        Ok(found) => {
            assert_eq!(found.left_out, [""; 0]);
            Outcome::Devices(found.devices)
        }
        Err(_) => Outcome::Refused,
    }
}

#[test]
fn lists_are_the_native_handlers() {
    let machine = desk();
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
    let (mut same, mut refused) = (0, 0);
    let mut lists = BTreeSet::new();
    for case in &cases {
        assert_eq!(case.ours.is_some(), case.differs.is_some());
        let expected = case.ours.as_ref().unwrap_or(&case.native);
        assert_ne!(case.ours.as_ref(), Some(&case.native), "{}: says that it differs", case.details);
        assert_eq!(outcome(&machine, case), *expected, "{}", case.details);
        same += u32::from(case.ours.is_none());
        refused += u32::from(case.native == Outcome::Refused);
        if let Outcome::Devices(devices) = &case.native {
            lists.insert(devices.iter().map(|device| device.id.as_str()).collect::<Vec<_>>());
        }
    }
    // A table that says nothing would pass, too.
    assert!(
        same >= 60 && refused >= 20 && lists.len() >= 30,
        "{same} same, {refused} refused, {} lists",
        lists.len()
    );
}

/// How the table is made anew: this writes the machine to `PARITY_MACHINE`, where another handler can be run on it.
#[test]
#[ignore = "writes a folder"]
fn writes_the_machine_where_told() {
    let folder = std::env::var_os("PARITY_MACHINE").expect("PARITY_MACHINE has to name a folder");
    furnish(&Machine::at(std::path::Path::new(&folder)));
}
