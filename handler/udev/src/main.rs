//! Akri's udev discovery handler: `udev_handler` at the places where every container has them.
//!
//! `LOG_LEVEL` is `info` or `debug`, by default `info`; `debug` names what was passed over in sysfs, for it could not be
//! read. `SYSFS_DIRECTORY` and `UDEV_DIRECTORY` are where sysfs and udev's database are, by default `/sys` and `/run/udev`.

#[cfg(any(target_os = "wasi", test))]
mod heap;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use akri_handler_sdk::Handler;
use akri_sysfs::{Places, Skipped, Sysfs};
use udev_handler::{Details, discover};

#[cfg(target_os = "wasi")]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

/// The name that Configurations give.
const NAME: &str = "udev";
/// As often as the native handler looks. With `akri-proxy serve --wake-on` a change is seen at once, and this may be long.
const RESCAN: Duration = Duration::from_secs(10);
/// A USB device that is reset is back before this is over, and was never gone for its brokers.
const REMOVAL_GRACE: Duration = Duration::from_secs(1);
/// How much is logged.
const LOG_LEVEL: &str = "LOG_LEVEL";
/// Where sysfs is.
const SYSFS_DIRECTORY: &str = "SYSFS_DIRECTORY";
/// Where udev's database is.
const UDEV_DIRECTORY: &str = "UDEV_DIRECTORY";

fn main() {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let level = variable(LOG_LEVEL).unwrap_or_else(|| "info".to_owned());
    let debug = match level.as_str() {
        "info" => false,
        "debug" => true,
        other => panic!("{LOG_LEVEL}={other:?}: give info or debug"),
    };
    let places = Places {
        sys: PathBuf::from(variable(SYSFS_DIRECTORY).unwrap_or_else(|| "/sys".to_owned())),
        udev: PathBuf::from(variable(UDEV_DIRECTORY).unwrap_or_else(|| "/run/udev".to_owned())),
    };
    let passed_over = move |skipped: Skipped<'_>| {
        if debug {
            eprintln!("debug: {skipped}");
        }
    };
    let had_records = Cell::new(true);
    Handler::new(NAME).version(env!("CARGO_PKG_VERSION")).rescan(RESCAN).removal_grace(REMOVAL_GRACE).run(
        |details: &Details, context| {
            let found = discover(details, context, || Sysfs::open(&places, passed_over))?;
            // Said when it changes, not at every look.
            if had_records.replace(found.has_records) != found.has_records {
                eprintln!("{}", records_line(&places, found.has_records));
            }
            for odd in &found.left_out {
                eprintln!("{odd}");
            }
            if debug {
                eprintln!("debug: {} devices by {} calls", found.devices.len(), found.calls);
            }
            Ok(found.devices)
        },
    );
}

fn records_line(places: &Places, there: bool) -> String {
    let place = places.udev.to_str().unwrap_or("udev's directory");
    if there {
        format!("udev's database is there: {place}/data")
    } else {
        format!(
            "udev's database is missing: rules with ENV, TAG or TAGS know only what the kernel says; mount the node's {place} there, read-only"
        )
    }
}
