//! The specification's own validator reads every document that we write: a few lines of Go around
//! `github.com/opencontainers/image-spec/schema`, in tests/validator. Needs `go`, and its module proxy once; where either
//! is missing the test is skipped, loudly, unless the environment says CI=true or REQUIRE_FOREIGN_TOOLS=1.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output as Ran};

use serde_json::json;
use wasm_image::{BuildFormat, Contents, NativeBinary, Output, Recipe, build, spec};

use crate::foreign::{is_required, skip, tool};
use crate::support::{Layout, elf, recipe, stderr, stdout, temp, write};

/// Builds the validator into `folder`, if that can be done here.
fn validator(folder: &Path) -> Option<PathBuf> {
    let go = tool("go")?;
    let program = folder.join("validator");
    let ran = Command::new(go)
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/validator"))
        .output()
        .unwrap();
    if ran.status.success() {
        return Some(program);
    }
    assert!(!is_required(), "the validator cannot be built: {}", stderr(&ran));
    skip(&format!("the validator cannot be built: {}", stderr(&ran)));
    None
}

fn validate(validator: &Path, layout: &Path) -> Ran {
    Command::new(validator).arg(layout).output().unwrap()
}

#[test]
fn every_document_is_valid() {
    let folder = temp();
    let Some(validator) = validator(folder.path()) else { return };
    let holds = |layout: &Path, expected: &str| {
        let ran = validate(&validator, layout);
        assert!(ran.status.success(), "{}", stderr(&ran));
        assert_eq!(stdout(&ran).trim_end(), expected);
    };
    let compat = "2 indexes, 3 manifests, 3 configs, 10 descriptors";
    let artifact = "1 indexes, 1 manifests, 0 configs, 3 descriptors";
    for (format, expected) in
        [(BuildFormat::Compat, compat), (BuildFormat::Artifact, artifact), (BuildFormat::WasmToOci, artifact)]
    {
        let layout = Layout::of(format);
        holds(&layout.path(), expected);
        // Everything that can be said.
        let pairs = |list: &[&str]| list.iter().map(|pair| pair.parse().unwrap()).collect::<Vec<_>>();
        let mut full = recipe(&layout.folder.path().join("hello.wasm"));
        full.format = format;
        full.annotations = pairs(&["a=b", "org.opencontainers.image.source=https://example.org"]);
        full.licenses = Some("Apache-2.0".to_owned());
        full.created = Some("2026-11-21T02:00:00Z".parse().unwrap());
        if format == BuildFormat::Compat {
            full.env = pairs(&["A=b=c", "B="]);
            full.labels = pairs(&["l=1"]);
            full.args = vec!["serve".to_owned(), String::new()];
        }
        build(&full, &Output::Layout(layout.path())).unwrap();
        holds(&layout.path(), expected);
    }

    holds(&Layout::with_sbom().path(), "2 indexes, 4 manifests, 3 configs, 13 descriptors");
    let binaries = [("a", 62), ("b", 183), ("c", 40)].map(|(name, machine)| NativeBinary {
        platform: (machine == 40).then(|| "linux/arm/v7".parse().unwrap()),
        path: write(folder.path(), name, &elf(machine, None)),
    });
    let native = Recipe {
        contents: Contents::Native(binaries.into()),
        name: Some("proxy".parse().unwrap()),
        ..recipe(Path::new("none"))
    };
    let layout = folder.path().join("native");
    build(&native, &Output::Layout(layout.clone())).unwrap();
    holds(&layout, compat);
}

#[test]
fn the_validator_refuses_what_is_wrong() {
    let folder = temp();
    let Some(validator) = validator(folder.path()) else { return };
    let layout = Layout::new();
    let manifest = layout.json(&layout.blob(&layout.built.manifests[0].digest));
    let refuses = |what: &str| {
        let ran = validate(&validator, &layout.path());
        assert_eq!(ran.status.code(), Some(1), "{what}");
    };
    let names = |manifest: &serde_json::Value| {
        let entry = layout.put_json(spec::MEDIA_MANIFEST, manifest);
        layout.set_index_json(&json!({ "schemaVersion": 2, "manifests": [entry] }));
    };
    names(&manifest);
    assert!(validate(&validator, &layout.path()).status.success());
    let mut wrong = manifest.clone();
    wrong["schemaVersion"] = json!(1);
    names(&wrong);
    refuses("a manifest of version 1");
    let mut wrong = manifest.clone();
    wrong["config"] = layout.put_json(spec::MEDIA_CONFIG, &json!({ "os": "linux" }));
    names(&wrong);
    refuses("a configuration without layers");
    let mut wrong = manifest.clone();
    wrong["layers"][0]["digest"] = json!("sha256:1");
    names(&wrong);
    refuses("a descriptor whose digest is none");
    names(&manifest);
    fs::write(layout.path().join("oci-layout"), "{}").unwrap();
    refuses("a layout without a version");
}
