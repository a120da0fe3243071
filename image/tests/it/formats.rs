//! The formats besides an ordinary image: what is in them, that they come out the same, and what they have no place for.

use std::fs;

use serde_json::json;
use wasm_image::{BuildError, BuildFormat, Limits, Output, build, inspect};

use crate::support::{Layout, TAG, command_module, recipe, stderr, temp, wasm_image, write};

const ARTIFACTS: [BuildFormat; 2] = [BuildFormat::Artifact, BuildFormat::WasmToOci];

#[test]
fn the_artifact_is_what_its_layout_says() {
    let layout = Layout::of(BuildFormat::Artifact);
    let manifest = layout.json(&layout.blob(&layout.built.digest));
    let module = wasm_image::Digest::of(&command_module());
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], module.to_string());
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "dev");
    assert_eq!(manifest["annotations"].get("module.wasm.image/variant"), None);
    let config = layout.json(&layout.blob(&manifest["config"]["digest"].as_str().unwrap().parse().unwrap()));
    let expected = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip1",
        "layerDigests": [module.to_string()],
    });
    assert_eq!(config, expected);
    // No index: the layout's entry point names the manifest.
    let named = &layout.index_json()["manifests"][0];
    assert_eq!(named["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(named["annotations"]["org.opencontainers.image.ref.name"], "dev");
    assert_eq!(named.get("platform"), None);
    assert_eq!(layout.blobs().len(), 3);
    assert_eq!(fs::read(layout.blob(&module)).unwrap(), command_module());
}

#[test]
fn wasm_to_oci_is_as_that_tool_pushes_it() {
    let layout = Layout::of(BuildFormat::WasmToOci);
    let manifest = layout.json(&layout.blob(&layout.built.digest));
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v1+json");
    let nothing = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!((&manifest["config"]["digest"], &manifest["config"]["size"]), (&json!(nothing), &json!(2)));
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.wasm.content.layer.v1+wasm");
    assert_eq!(layer["annotations"]["org.opencontainers.image.title"], "hello.wasm");
    assert_eq!(layer["size"], command_module().len());
}

#[test]
fn they_are_sound_and_come_out_the_same() {
    for format in ARTIFACTS {
        let one = Layout::of(format);
        let two = Layout::of(format);
        assert_eq!(one.built.digest, two.built.digest);
        assert!(one.problems().is_empty());
        let mut recipe = recipe(&one.folder.path().join("hello.wasm"));
        recipe.format = format;
        let archive = one.folder.path().join("hello.tar");
        let archived = build(&recipe, &Output::from_path(archive.clone())).unwrap();
        assert_eq!(archived.digest, one.built.digest);
        assert!(inspect(&archive, &Limits::default()).unwrap().is_sound());
        recipe.created = Some("2026-11-21T02:00:00Z".parse().unwrap());
        let dated = build(&recipe, &Output::from_path(archive)).unwrap();
        assert_ne!(dated.digest, one.built.digest);
    }
}

#[test]
fn what_has_no_place_is_refused_and_never_dropped() {
    let folder = temp();
    let module = write(folder.path(), "hello.wasm", &command_module());
    let output = folder.path().join("out");
    for format in ["artifact", "wasm-to-oci"] {
        let args = [
            "build",
            module.to_str().unwrap(),
            "--format",
            format,
            "--tag",
            TAG,
            "--output",
            output.to_str().unwrap(),
        ];
        for (option, value) in
            [("--env", "A=b"), ("--arg", "x"), ("--label", "a=b"), ("--user", "0"), ("--user", "65532:65532")]
        {
            let ran = wasm_image(&[&args[..], &[option, value]].concat());
            assert_eq!(ran.status.code(), Some(1), "{format} {option}");
            assert!(stderr(&ran).contains(option) && stderr(&ran).contains(format), "{}", stderr(&ran));
            assert!(!output.exists());
        }
        // What there is a place for is taken.
        let more = ["--annotation", "a=b", "--licenses", "MIT", "--image-version", "2", "--name", "other"];
        let ran = wasm_image(&[&args[..], &more[..]].concat());
        assert!(ran.status.success(), "{}", stderr(&ran));
        let report = inspect(&output, &Limits::default()).unwrap();
        let annotations = &report.images[0].document_annotations;
        assert_eq!(
            (annotations["a"].as_str(), annotations["org.opencontainers.image.version"].as_str()),
            ("b", "2")
        );
        assert_eq!(report.images[0].children[1].annotations["org.opencontainers.image.title"], "other.wasm");
        fs::remove_dir_all(&output).unwrap();
    }
    let native = ["build", "--native", "x", "--format", "artifact", "--tag", TAG, "--output", "o"];
    assert_eq!(wasm_image(&native).status.code(), Some(2));
    let mut recipe = recipe(&module);
    recipe.contents = wasm_image::Contents::Native(Vec::new());
    recipe.format = BuildFormat::Artifact;
    let refused = build(&recipe, &Output::Layout(output));
    assert!(matches!(refused, Err(BuildError::NotCarried { .. })));
}
