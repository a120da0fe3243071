//! udev's rules of a Configuration, as a handler takes them, on a machine with two devices.

#![no_main]

use std::os::unix::fs::symlink;
use std::sync::OnceLock;

use akri_handler_sdk::Context;
use akri_sysfs::{Places, Sysfs};
use libfuzzer_sys::fuzz_target;
use udev_handler::{Details, Rule, discover};

fn places() -> &'static Places {
    static PLACES: OnceLock<Places> = OnceLock::new();
    PLACES.get_or_init(|| {
        // Made once and kept beside the program: a fuzzer ends in no way in which anything could be cleaned up.
        let program = std::env::current_exe().expect("a program knows itself");
        let root = program.with_extension("machine");
        let (sys, udev) = (root.join("sys"), root.join("udev"));
        for (number, name) in ["video0", "video1"].into_iter().enumerate() {
            let device = sys.join("devices/pci0000:00/usb1").join(name);
            std::fs::create_dir_all(&device).expect("a folder can be made");
            let write = |file: &str, text: String| {
                std::fs::write(device.join(file), text).expect("it can be written")
            };
            write("uevent", format!("MAJOR=81\nMINOR={number}\nDEVNAME={name}\n"));
            write("name", format!("Camera {number}\n"));
            write("dev", format!("81:{number}\n"));
            let class = sys.join("class/video4linux");
            std::fs::create_dir_all(&class).expect("a folder can be made");
            let _ = symlink("../../../../../class/video4linux", device.join("subsystem"));
            let _ = symlink(format!("../../devices/pci0000:00/usb1/{name}"), class.join(name));
            std::fs::create_dir_all(udev.join("data")).expect("a folder can be made");
            std::fs::write(
                udev.join(format!("data/c81:{number}")),
                "E:ID_V4L_CAPABILITIES=:capture:\nG:seat\n",
            )
            .expect("it can be written");
        }
        Places { sys, udev }
    })
}

fuzz_target!(|text: &str| {
    let rules: Vec<String> = text.lines().take(4).map(str::to_owned).collect();
    let good = rules.iter().all(|rule| match rule.parse::<Rule>() {
        Ok(_) => true,
        Err(error) => {
            assert!(error.column <= rule.chars().count() + 1, "{error} is beyond {rule:?}");
            false
        }
    });
    let json = serde_json::json!({ "udevRules": rules });
    let Ok(details) = serde_json::from_value::<Details>(json) else { return };
    let found = discover(&details, &Context::for_tests(), || Sysfs::open(places(), |_| {}));
    assert!(good || found.is_err(), "a rule that cannot be read was used: {rules:?}");
    if let Ok(found) = found {
        assert!(found.devices.len() <= 2);
    }
});
