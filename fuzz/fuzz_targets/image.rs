//! A whole image of a stranger's: indexes, manifests, configurations, layers, and what is attached. A fuzzer guesses no digest,
//! so that the input has marks where digests and sizes belong.

#![no_main]

#[allow(dead_code, reason = "each target needs a part of it")]
#[path = "shared/archive.rs"]
mod archive;

use libfuzzer_sys::fuzz_target;
use wasm_image::{Limits, LocalImage, extract_within, inspect, sbom};

fuzz_target!(|bytes: &[u8]| {
    let file = archive::of_parts(bytes);
    let limits = Limits {
        document: 1 << 16,
        documents: 1 << 20,
        unpacked: 1 << 20,
        module: 1 << 20,
        ..Limits::default()
    };
    let Ok(report) = inspect(file.path(), &limits) else { return };
    // Whatever it says, it can be shown, and moves no cursor.
    let shown = report.to_string();
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    let image = LocalImage::only(file.path());
    let _ = sbom(&image, None);
    let output = file.path().with_extension("wasm");
    if let Ok(extracted) = extract_within(&limits, &image, None, &output) {
        assert!(extracted.size <= limits.module);
        assert_eq!(std::fs::metadata(&output).expect("it says that it is there").len(), extracted.size);
        std::fs::remove_file(&output).expect("it is ours");
    } else {
        assert!(!output.exists(), "nothing is left");
    }
});
