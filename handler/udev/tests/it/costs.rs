//! What rules cost, in calls of the system or of the engine.

use akri_handler_sdk::Context;
use serde_json::json;

use crate::fixture::{desk, many};
use crate::found;

#[test]
fn a_rule_costs_what_it_asks_for() {
    let machine = desk();
    let calls =
        |rules: &[&str]| found(&machine, json!({"udevRules": rules}), &Context::for_tests()).unwrap().calls;
    // Opening both trees, and a look for the records.
    let begin = calls(&[]);
    assert_eq!(begin, 3);
    // One link and one file for the one device; the other place where it could be is not there.
    assert_eq!(calls(&[r#"SUBSYSTEM=="mem", KERNEL=="null""#]), begin + 2 + 3);
    // The list below `class`, and below `bus` none; then the same for two devices.
    assert_eq!(calls(&[r#"SUBSYSTEM=="block""#]), begin + 1 + 4 + 2 * (1 + 3));
    // Without a subsystem: the lists of subsystems, and a link in each.
    assert_eq!(calls(&[r#"KERNEL=="null""#]), begin + 2 * 4 + 12 + 3);
    // The same again is free.
    assert_eq!(calls(&[r#"SUBSYSTEM=="block""#, r#"SUBSYSTEM=="block""#]), begin + 1 + 4 + 2 * (1 + 3));
    // What a name rules out is not read: only the two entries that match have their files read.
    assert_eq!(calls(&[r#"SUBSYSTEM=="tty", KERNEL=="ttyUSB*""#]), begin + 1 + 4 + (1 + 3));
    // The index of tags leads to its one device.
    assert!(calls(&[r#"TAG=="uaccess", SUBSYSTEM=="none""#]) < begin + 20);
}

#[test]
fn five_thousand_devices_are_read_once_each() {
    let machine = many(5000);
    let found =
        found(&machine, json!({"udevRules": [r#"SUBSYSTEM=="gadget""#]}), &Context::for_tests()).unwrap();
    assert_eq!(found.devices.len(), 5000);
    assert!(found.calls <= 5000 * 4 + 200, "{}", found.calls);
}
