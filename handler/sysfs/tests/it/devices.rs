//! What is said of devices.

use akri_sysfs::{Device, Sysfs, Wanted};

use crate::fixture::{Machine, USB, desk};

const ALL: Wanted<'static> = Wanted::Passing(&|_| true);

fn look(machine: &Machine) -> Sysfs {
    Sysfs::open(&machine.places(), |_| ()).unwrap()
}

fn names(devices: &[Device]) -> Vec<&str> {
    devices.iter().map(Device::name).collect()
}

#[test]
fn devices_are_found_by_subsystem_and_name() {
    let machine = desk();
    let sysfs = look(&machine);
    assert_eq!(names(&sysfs.devices(Wanted::These(&["block"]), ALL)), ["vda", "vda1"]);
    assert_eq!(names(&sysfs.devices(ALL, Wanted::These(&["ttyUSB0"]))), ["ttyUSB0", "ttyUSB0"]);
    assert_eq!(names(&sysfs.devices(Wanted::Passing(&|name| name.starts_with("vid")), ALL)).len(), 4);
    assert_eq!(names(&sysfs.devices(ALL, Wanted::These(&["cciss!c0d0"]))), ["cciss/c0d0"]);
    for none in ["", ".", "..", "../block", "nope"] {
        assert!(sysfs.devices(Wanted::These(&[none]), ALL).is_empty(), "{none}");
        assert!(sysfs.devices(ALL, Wanted::These(&[none])).is_empty(), "{none}");
        assert!(sysfs.tagged(none).is_empty(), "{none}");
    }
    let all = sysfs.devices(ALL, ALL);
    assert!(all.windows(2).all(|pair| pair[0].devpath() < pair[1].devpath()), "ordered, each once");
}

#[test]
fn a_device_answers() {
    let machine = desk();
    let sysfs = look(&machine);
    let video = &sysfs.devices(ALL, Wanted::These(&["video0"]))[0];
    assert_eq!(video.devpath(), format!("/{USB}/1-1/1-1:1.0/video4linux/video0"));
    assert_eq!((video.subsystem(), video.driver()), (Some("video4linux"), None));
    assert_eq!(video.node().as_deref(), Some("/dev/video0"));
    assert_eq!(video.attribute("name").as_deref(), Some("Webcam C270: Webcam C270"));
    assert_eq!(
        video.attribute("device/driver"),
        None,
        "the last link of three that udev knows only by their own name"
    );
    assert_eq!(video.attribute("device/authorized").as_deref(), Some("1"));
    assert_eq!(video.attribute("nope"), None);
    assert_eq!(video.tags(), ["uaccess", "seat"]);
    for (name, value) in [
        ("DEVNAME", "/dev/video0"),
        ("SUBSYSTEM", "video4linux"),
        ("ID_V4L_CAPABILITIES", ":capture:"),
        ("TAGS", ":uaccess:seat:"),
        ("CURRENT_TAGS", ":uaccess:"),
        ("USEC_INITIALIZED", "5000"),
        ("DEVLINKS", "/dev/v4l/by-id/usb-046d_C270_SN0002-video-index0"),
    ] {
        assert_eq!(video.property(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(video.property("ID_V4L_PRODUCT"), None, "an empty value is none");
    let interface = video.parent().unwrap();
    assert_eq!(
        (interface.name(), interface.driver()),
        ("1-1:1.0", Some("uvcvideo")),
        "the folder between is no device"
    );
    let lineage: Vec<_> =
        video.lineage().filter(Device::exists).map(|device| device.name().to_owned()).collect();
    assert_eq!(lineage, ["video0", "1-1:1.0", "1-1", "usb1", "0000:00:14.0", "pci0000:00"]);
}

#[test]
fn tags_lead_to_devices_by_every_kind_of_id() {
    let machine = desk();
    machine.record("+pci:0000:01:00.1", "G:every\n");
    machine.record("n1", "G:every\n");
    machine.record("b254:1", "G:every\n");
    machine.record("c1:5", "G:every\n");
    for gone in ["c9:9", "b9:9", "n77", "+pci:none", "+nope:x", "x1", "c", "+", "é"] {
        machine.record(gone, "G:every\n");
    }
    let sysfs = look(&machine);
    assert_eq!(names(&sysfs.tagged("every")), ["0000:01:00.1", "vda1", "zero", "lo"]);
}

#[test]
fn a_device_has_a_path_and_nothing_else_is_one() {
    let machine = desk();
    let sysfs = look(&machine);
    assert_eq!(sysfs.at("/devices/virtual/mem/null").unwrap().name(), "null");
    for none in [
        "/devices/virtual",
        "/devices/nope",
        "devices/virtual/mem/null",
        "/class/mem/null",
        "",
        "/",
        "/devices/virtual/mem/../mem/null",
        "/devices/virtual/mem/null/",
    ] {
        assert!(sysfs.at(none).is_none(), "{none}");
    }
    assert!(sysfs.has_records());
    std::fs::remove_dir_all(machine.places().udev).unwrap();
    let without = look(&machine);
    assert!(!without.has_records());
    let video = &without.devices(ALL, Wanted::These(&["video0"]))[0];
    assert_eq!((video.tags().len(), video.node().as_deref()), (0, Some("/dev/video0")));
    assert!(Sysfs::open(&akri_sysfs::Places { sys: "/nope".into(), udev: "/nope".into() }, |_| ()).is_err());
}
