//! An oci-archive as a stranger sends it: a tar, of which nothing is believed.

#![no_main]

#[allow(dead_code, reason = "each target needs a part of it")]
#[path = "shared/archive.rs"]
mod archive;

use libfuzzer_sys::fuzz_target;
use wasm_image::{Limits, inspect};

fuzz_target!(|bytes: &[u8]| {
    let file = archive::file(bytes);
    let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
    if let Ok(report) = inspect(file.path(), &limits) {
        let _ = report.to_string();
    }
});
