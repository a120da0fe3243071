//! What a person who writes a Configuration sees.

use akri_handler_sdk::{Context, FailureKind};
use serde_json::json;

use crate::fixture::{Machine, USB, desk};
use crate::{found, ids};

#[test]
fn a_camera_is_found_by_its_capture_node() {
    let machine = desk();
    let rules = [r#"KERNEL=="video[0-9]*", ENV{ID_V4L_CAPABILITIES}=="*:capture:*""#];
    let found =
        found(&machine, json!({"udevRules": rules, "permissions": "rw"}), &Context::for_tests()).unwrap();
    assert_eq!(found.devices.len(), 2, "two cameras, of which the second node of each only has data");
    let camera = &found.devices[0];
    let path = format!("/{USB}/1-1/1-1:1.0/video4linux/video0");
    assert_eq!((&camera.id, &camera.properties["UDEV_DEVPATH"]), (&path, &path));
    assert_eq!(camera.properties["UDEV_DEVNODE"], "/dev/video0");
    assert_eq!(camera.device_specs.len(), 1);
    let spec = &camera.device_specs[0];
    assert_eq!(
        (&*spec.host_path, &*spec.container_path, &*spec.permissions),
        ("/dev/video0", "/dev/video0", "rw")
    );
    assert!(found.has_records);
}

#[test]
fn a_group_is_one_device_with_all_nodes_of_its_own_and_of_nobody_elses() {
    let machine = desk();
    let rules = [
        r#"SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="046d""#,
        r#"SUBSYSTEM=="video4linux""#,
        r#"SUBSYSTEM=="sound""#,
    ];
    let found =
        found(&machine, json!({"udevRules": rules, "groupRecursive": true}), &Context::for_tests()).unwrap();
    let ids: Vec<&str> = found.devices.iter().map(|device| device.id.rsplit('/').next().unwrap()).collect();
    assert_eq!(ids, ["1-1", "1-10", "1-3"], "the path of one begins like another's");
    let nodes: Vec<&str> = found.devices[0]
        .properties
        .iter()
        .filter(|(name, _)| name.starts_with("UDEV_DEVNODE_"))
        .map(|(_, node)| node.as_str())
        .collect();
    assert_eq!(nodes, ["/dev/bus/usb/001/002", "/dev/video0", "/dev/video1", "/dev/snd/controlC2"]);
    assert_eq!(found.devices[0].device_specs.len(), nodes.len());
}

#[test]
fn parents_can_be_asked() {
    let machine = desk();
    let adapter = format!("/{USB}/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0");
    for rule in [
        r#"SUBSYSTEM=="tty", ATTRS{idVendor}=="0403", ATTRS{serial}=="A1B2C3""#,
        r#"SUBSYSTEM=="tty", SUBSYSTEMS=="usb""#,
        r#"SUBSYSTEM=="tty", DRIVERS=="ftdi_sio""#,
        r#"SUBSYSTEM=="tty", KERNELS=="1-2""#,
        r#"SUBSYSTEM=="tty", ATTRS{latency_timer}=="16""#,
    ] {
        assert_eq!(ids(&machine, &[rule]), [adapter.as_str()], "{rule}");
    }
}

#[test]
fn bad_rules_are_refused_with_their_place() {
    let machine = Machine::empty();
    let details = json!({"udevRules": [r#"KERNEL=="ok""#, r#"KERNEL=="a", ACTION=="add""#]});
    let failure = found(&machine, details, &Context::for_tests()).unwrap_err();
    assert_eq!((failure.kind, failure.field.as_deref()), (FailureKind::InvalidDetails, Some("udevRules[1]")));
    assert!(failure.message.contains("column 14: ACTION does not select"), "{}", failure.message);
    let context =
        Context::for_tests().with_properties([("devicePluginResourceName", Some(b"a b".as_slice()))]);
    let failure = found(&machine, json!({"udevRules": []}), &context).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidDetails);
    assert!(failure.message.contains("devicePluginResourceName"));
}

#[test]
fn without_sysfs_it_does_not_work_now_and_without_records_it_does() {
    let machine = desk();
    std::fs::remove_dir_all(machine.places().udev).unwrap();
    let found_without =
        found(&machine, json!({"udevRules": [r#"KERNEL=="video0""#]}), &Context::for_tests()).unwrap();
    assert_eq!((found_without.devices.len(), found_without.has_records), (1, false));
    std::fs::remove_dir_all(machine.sys()).unwrap();
    let failure = found(&machine, json!({"udevRules": [""]}), &Context::for_tests()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains("sysfs"));
}

#[test]
fn what_no_broker_could_take_is_left_out_by_name() {
    let machine = desk();
    machine.device(
        "devices/virtual/mem/up",
        "mem",
        &[("MAJOR", "1"), ("MINOR", "9"), ("DEVNAME", "../etc/shadow")],
    );
    let found =
        found(&machine, json!({"udevRules": [r#"SUBSYSTEM=="mem""#]}), &Context::for_tests()).unwrap();
    assert_eq!(found.devices.len(), 2);
    assert_eq!(found.left_out.len(), 1);
    assert!(found.left_out[0].contains("/devices/virtual/mem/up"), "{}", found.left_out[0]);
}

#[test]
fn a_device_that_is_unplugged_is_gone() {
    let machine = desk();
    let rule = [r#"SUBSYSTEM=="tty", SUBSYSTEMS=="usb""#];
    assert_eq!(ids(&machine, &rule).len(), 1);
    machine.unplug(&format!("{USB}/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0"), "tty");
    assert_eq!(ids(&machine, &rule).len(), 0);
}

/// The rules that people copy from the documentation: each is understood, and finds what is said beside it.
#[test]
fn the_documented_rules_find_cameras_and_the_adapter() {
    let guide = include_str!("../../../../docs/udev.md");
    let quoted = |line: &'static str| line.trim().strip_prefix("- '")?.strip_suffix('\'');
    let rules: Vec<&str> = guide.lines().filter_map(quoted).collect();
    let machine = desk();
    let counts: Vec<usize> = rules.iter().map(|rule| ids(&machine, &[rule]).len()).collect();
    assert_eq!(rules.len(), 5);
    assert_eq!(
        counts,
        [2, 2, 4, 4, 1],
        "capturing nodes, cameras, video nodes, controls or their cards, adapters"
    );
}
