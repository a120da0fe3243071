//! A layer's tar, as the one layer of an image that is right otherwise: unpacked in a stream, never beyond its root.

#![no_main]

#[allow(dead_code, reason = "each target needs a part of it")]
#[path = "shared/archive.rs"]
mod archive;

use libfuzzer_sys::fuzz_target;
use wasm_image::{Limits, LocalImage, extract_within};

/// What the image runs is sought in the layer.
const PARTS: &str = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:@1","size":@1}]}
%%
{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:@2","size":@2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:@3","size":@3}]}
%%
{"os":"linux","architecture":"amd64","config":{"Entrypoint":["/x.wasm"]},"rootfs":{"type":"layers","diff_ids":["sha256:@3"]}}
%%
"#;

fuzz_target!(|bytes: &[u8]| {
    let file = archive::of_parts(&[PARTS.as_bytes(), bytes].concat());
    let limits = Limits { unpacked: 1 << 20, module: 1 << 20, layer_members: 1000, ..Limits::default() };
    let output = file.path().with_extension("wasm");
    let outcome = extract_within(&limits, &LocalImage::only(file.path()), None, &output);
    assert_eq!(outcome.is_ok(), output.exists());
    if outcome.is_ok() {
        std::fs::remove_file(&output).expect("it is ours");
    }
});
