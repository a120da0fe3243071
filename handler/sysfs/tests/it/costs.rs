//! What is not asked for is not read: the calls of each question are counted.

use akri_sysfs::{Sysfs, Wanted};

use crate::fixture::{desk, many};

const ALL: Wanted<'static> = Wanted::Passing(&|_| true);

#[test]
fn names_are_matched_before_anything_is_opened() {
    let machine = desk();
    let calls = |what: &dyn Fn(&Sysfs)| {
        let sysfs = Sysfs::open(&machine.places(), |_| ()).unwrap();
        let before = sysfs.calls();
        what(&sysfs);
        sysfs.calls() - before
    };
    let listing = 4;
    // The folder below `bus` is not there, the one below `class` is listed, and each device is a link.
    assert_eq!(calls(&|sysfs| drop(sysfs.devices(Wanted::These(&["block"]), ALL))), 1 + listing + 2);
    // A name that is known needs no list.
    assert_eq!(calls(&|sysfs| drop(sysfs.devices(Wanted::These(&["mem"]), Wanted::These(&["null"])))), 2);
    // No name passes: nothing but lists.
    let folders = 12;
    let none: Wanted<'_> = Wanted::Passing(&|_| false);
    assert_eq!(calls(&|sysfs| drop(sysfs.devices(ALL, none))), 2 * listing + folders * listing);
    // Asked again, nothing is read again.
    assert_eq!(
        calls(&|sysfs| drop((sysfs.devices(ALL, none), sysfs.devices(ALL, none)))),
        2 * listing + folders * listing
    );
    // Each further answer about a device costs one link or one file, and finding it again costs nothing.
    let null = |sysfs: &Sysfs| sysfs.devices(Wanted::These(&["mem"]), Wanted::These(&["null"])).remove(0);
    assert_eq!(calls(&|sysfs| assert!(null(sysfs).subsystem().is_some())), 2);
    assert_eq!(calls(&|sysfs| assert!(null(sysfs).driver().is_none())), 2 + 1);
    assert_eq!(calls(&|sysfs| drop((null(sysfs).node(), null(sysfs).exists()))), 2 + 3);
    assert_eq!(calls(&|sysfs| drop((null(sysfs).attribute("dev"), null(sysfs).attribute("dev")))), 2 + 3);
}

#[test]
fn costs_grow_with_the_devices_and_not_faster() {
    let calls = |count: u32| {
        let machine = many(count);
        let sysfs = Sysfs::open(&machine.places(), |_| ()).unwrap();
        let devices = sysfs.devices(Wanted::These(&["gadget"]), ALL);
        assert_eq!(devices.iter().filter(|device| device.node().is_some()).count(), count as usize);
        sysfs.calls()
    };
    let (few, more) = (calls(500), calls(5000));
    assert!(more <= few * 10 && more <= 5000 * 4 + 200, "{few} calls for 500 devices, {more} for 5,000");
}
