//! The name of an image, from a command line or a manifest.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_image::Reference;

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else { return };
    let shown = reference.to_string();
    let again: Reference = shown.parse().expect("what is shown can be read");
    assert_eq!(again, reference, "{shown}");
});
