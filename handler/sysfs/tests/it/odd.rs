//! Odd things in sysfs: each is passed over and told, and costs nothing else.

use std::cell::RefCell;
use std::os::unix::fs::symlink;
use std::rc::Rc;

use akri_sysfs::{Sysfs, Wanted};

use crate::fixture::{Machine, desk};

const ALL: Wanted<'static> = Wanted::Passing(&|_| true);

fn look(machine: &Machine) -> (Sysfs, Rc<RefCell<Vec<String>>>) {
    let told = Rc::new(RefCell::new(Vec::new()));
    let heard = told.clone();
    let sysfs = Sysfs::open(&machine.places(), move |skipped| heard.borrow_mut().push(skipped.to_string()));
    (sysfs.unwrap(), told)
}

#[test]
fn attributes_that_are_no_text_are_passed_over() {
    let machine = desk();
    let null = "devices/virtual/mem/null";
    machine.file(&format!("{null}/binary"), [0xff, 0xfe, 0x00]);
    machine.file(&format!("{null}/large"), vec![b'x'; 1 << 20]);
    machine.file(&format!("{null}/strings"), "first\0second\n");
    machine.file(&format!("{null}/lines"), "a\nb\n\n");
    machine.file(&format!("{null}/folder/x"), "");
    let sys = machine.sys();
    symlink("loop", sys.join(format!("{null}/loop"))).unwrap();
    symlink("../null/round", sys.join(format!("{null}/round"))).unwrap();
    symlink("/etc", sys.join(format!("{null}/out"))).unwrap();
    symlink("../../../../../etc", sys.join(format!("{null}/up"))).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        sys.join(format!("{null}/fifo")),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let (sysfs, told) = look(&machine);
    let device = sysfs.at("/devices/virtual/mem/null").unwrap();
    for (key, line) in [
        ("binary", true),
        ("large", true),
        ("folder", true),
        ("loop", true),
        ("out", true),
        ("loop/x", true),
        ("round/x", true),
        ("out/passwd", false),
        ("up/passwd", false),
        ("../zero/dev", false),
        ("", true),
        ("nope", false),
        ("uevent/x", true),
    ] {
        told.borrow_mut().clear();
        assert_eq!(device.attribute(key), None, "{key}");
        assert_eq!(!told.borrow().is_empty(), line, "{key}: {:?}", told.borrow());
    }
    assert_eq!(device.attribute("strings").as_deref(), Some("first"));
    assert_eq!(device.attribute("lines").as_deref(), Some("a\nb"));
    assert_eq!(device.attribute("fifo").as_deref(), Some(""), "and nobody waits for a writer");
}

#[test]
fn links_that_lead_nowhere_are_no_devices() {
    let machine = desk();
    let class = machine.sys().join("class/mem");
    symlink("../../../etc", class.join("out")).unwrap();
    symlink("/etc", class.join("absolute")).unwrap();
    symlink("self", class.join("self")).unwrap();
    symlink("../../class/tty", class.join("class")).unwrap();
    std::fs::write(class.join("file"), "").unwrap();
    std::fs::create_dir(class.join("folder")).unwrap();
    symlink("../../devices/gone", class.join("gone")).unwrap();
    let (sysfs, _) = look(&machine);
    let devices = sysfs.devices(Wanted::These(&["mem"]), ALL);
    let there: Vec<_> = devices.iter().filter(|device| device.exists()).map(|device| device.name()).collect();
    assert_eq!(there, ["null", "zero"]);
}

#[test]
fn what_vanishes_meanwhile_is_not_there() {
    let machine = desk();
    let (sysfs, told) = look(&machine);
    let devices = sysfs.devices(Wanted::These(&["mem"]), ALL);
    machine.unplug("devices/virtual/mem/null", "mem");
    let there: Vec<_> = devices.iter().filter(|device| device.exists()).map(|device| device.name()).collect();
    assert_eq!(there, ["zero"]);
    assert_eq!(devices[0].attribute("dev"), None);
    assert!(told.borrow().is_empty(), "it is the usual thing: {:?}", told.borrow());
}

#[test]
fn records_may_be_odd_too() {
    let machine = desk();
    let data = machine.places().udev.join("data");
    std::fs::write(data.join("c1:3"), [0xff; 10]).unwrap();
    std::fs::write(data.join("c1:5"), vec![b'E'; 1 << 20]).unwrap();
    let (sysfs, told) = look(&machine);
    for path in ["/devices/virtual/mem/null", "/devices/virtual/mem/zero"] {
        let device = sysfs.at(path).unwrap();
        assert_eq!((device.tags().len(), device.property("USEC_INITIALIZED")), (0, None), "{path}");
    }
    assert_eq!(told.borrow().len(), 2);
}
