//! What is attached to an image: how it is built, shown, taken out, and that it is in nobody's way.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wasm_image::{
    BuildError, Contents, ExtractError, Limits, LocalImage, NativeBinary, Output, Platform, Recipe, Sbom,
    build, inspect, sbom, spec,
};

use crate::foreign::{run, tool};
use crate::support::{Layout, SBOM, TAG, elf, recipe, stderr, stdout, temp, wasm_image, write};

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

/// Binaries for two platforms, and a list for each.
fn native(folder: &Path) -> (PathBuf, Recipe) {
    let binary =
        |name: &str, machine| NativeBinary { platform: None, path: write(folder, name, &elf(machine, None)) };
    let list = |for_whom: &str| Sbom {
        platform: Some(platform(for_whom)),
        path: write(folder, &for_whom.replace('/', "-"), &sbom_of(for_whom)),
    };
    let recipe = Recipe {
        contents: Contents::Native(vec![binary("a", 62), binary("b", 183)]),
        name: Some("proxy".parse().unwrap()),
        sboms: vec![list("linux/amd64"), list("linux/arm64")],
        ..recipe(Path::new("none"))
    };
    (folder.join("native"), recipe)
}

fn sbom_of(name: &str) -> Vec<u8> {
    json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": { "component": { "name": name } } })
        .to_string()
        .into_bytes()
}

#[test]
fn it_is_about_the_image_and_no_image() {
    let layout = Layout::with_sbom();
    assert!(layout.problems().is_empty());
    let [entry] = &layout.built.referrers[..] else { panic!("{:?}", layout.built.referrers) };
    assert_eq!(entry.subject, layout.built.digest);
    // The image itself is as it was without.
    let without = Layout::new().built;
    assert_eq!((&layout.built.digest, layout.built.size), (&without.digest, without.size));
    let index = layout.index_json();
    let (image, attached) = (&index["manifests"][0], &index["manifests"][1]);
    assert_eq!(image["annotations"][spec::ANNOTATION_REF_NAME], "dev");
    assert_eq!(attached["artifactType"], spec::MEDIA_CYCLONEDX);
    assert!(attached.get("annotations").is_none(), "it has no name of its own");
    let manifest = layout.json(&layout.blob(&entry.digest));
    assert_eq!(
        (&manifest["artifactType"], &manifest["subject"]["digest"]),
        (&attached["artifactType"], &image["digest"])
    );
    assert_eq!(manifest["config"]["mediaType"], spec::MEDIA_EMPTY);
    assert_eq!(manifest["layers"][0]["annotations"][spec::ANNOTATION_TITLE], "hello.cdx.json");

    let path = layout.path();
    let shown = stdout(&wasm_image(&["inspect", path.to_str().unwrap()]));
    assert!(shown.contains(&format!("referrer ({})", spec::MEDIA_CYCLONEDX)), "{shown}");
    assert!(shown.contains(&format!("about: {}", layout.built.digest)), "{shown}");
    let report = inspect(&path, &Limits::default()).unwrap();
    assert_eq!(report.images[1].subject.as_ref(), Some(&layout.built.digest));
    assert_eq!(report.modules.len(), 1);
    // Whoever wants the only image gets it.
    let module = layout.folder.path().join("out.wasm");
    wasm_image::extract(&LocalImage::only(&path), None, &module).unwrap();
    let printed = wasm_image(&["sbom", path.to_str().unwrap()]);
    assert_eq!(printed.stdout, SBOM, "{}", stderr(&printed));
}

#[test]
fn each_platform_has_its_own() {
    let folder = temp();
    let (output, recipe) = native(folder.path());
    let built = build(&recipe, &Output::Layout(output.clone())).unwrap();
    for (name, manifest, attached) in [
        ("linux/amd64", &built.manifests[0], &built.referrers[0]),
        ("linux/arm64", &built.manifests[1], &built.referrers[1]),
    ] {
        assert_eq!(attached.subject, manifest.digest);
        let bytes = sbom(&LocalImage::only(&output), Some(&platform(name))).unwrap();
        assert_eq!(bytes, sbom_of(name));
    }
    let archive = folder.path().join("a.tar");
    let again = folder.path().join("b.tar");
    build(&recipe, &Output::Archive(archive.clone())).unwrap();
    build(&recipe, &Output::Archive(again.clone())).unwrap();
    assert!(fs::read(archive).unwrap() == fs::read(again).unwrap());
}

#[test]
fn what_is_no_such_list_is_refused() {
    let folder = temp();
    let module = write(folder.path(), "hello.wasm", &crate::support::command_module());
    let refused = |path: PathBuf, platform: Option<Platform>| {
        let recipe = Recipe { sboms: vec![Sbom { platform, path }], ..recipe(&module) };
        let output = folder.path().join("out");
        let error = build(&recipe, &Output::Layout(output.clone())).unwrap_err();
        assert!(!output.exists());
        error
    };
    for text in [
        "",
        "{}",
        "[1]",
        r#"{ "bomFormat": "SPDX", "specVersion": "1.6" }"#,
        r#"{ "bomFormat": "CycloneDX" }"#,
    ] {
        let file = write(folder.path(), "bad.json", text.as_bytes());
        assert!(matches!(refused(file, None), BuildError::Sbom { .. }), "{text}");
    }
    assert!(matches!(refused(folder.path().to_owned(), None), BuildError::NotAFile(_)));
    let good = write(folder.path(), "good.json", SBOM);
    assert!(matches!(refused(good, Some(platform("linux/arm/v7"))), BuildError::SbomPlatform { .. }));
    let long = folder.path().join("long.json");
    fs::File::create(&long).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(refused(long, None), BuildError::SbomSize { .. }));
    let list = write(folder.path(), "list.json", SBOM);
    let args = ["build", module.to_str().unwrap(), "--tag", TAG, "--sbom", list.to_str().unwrap()];
    let over = wasm_image(&[&args[..], &["--archive", "--output", list.to_str().unwrap()]].concat());
    assert_eq!(over.status.code(), Some(1));
    assert_eq!(fs::read(&list).unwrap(), SBOM, "it is not overwritten by the image");
}

#[test]
fn what_says_nothing_or_too_much_is_an_error() {
    let of = |layout: &Layout| sbom(&LocalImage::only(layout.path()), None);
    assert!(matches!(of(&Layout::new()), Err(ExtractError::NoSbom(_))));
    let layout = Layout::with_sbom();
    let manifest = layout.json(&layout.blob(&layout.built.referrers[0].digest));
    let image = layout.index_json()["manifests"][0].clone();
    let set = |manifests: &[&Value]| {
        let mut entries = vec![image.clone()];
        entries.extend(manifests.iter().map(|manifest| {
            let mut entry = layout.put_json(spec::MEDIA_MANIFEST, manifest);
            entry["artifactType"] = json!("x");
            entry
        }));
        layout.set_index_json(&json!({ "schemaVersion": 2, "manifests": entries }));
    };
    let mut second = manifest.clone();
    second["annotations"] = json!({ "a": "b" });
    set(&[&manifest, &second]);
    assert!(matches!(of(&layout), Err(ExtractError::SeveralSboms(_))));
    // What it says itself counts, not what the entry says: about another, of another kind, without a subject.
    for (field, value) in
        [("subject", manifest["config"].clone()), ("artifactType", json!("y")), ("subject", Value::Null)]
    {
        let mut wrong = manifest.clone();
        wrong[field] = value;
        set(&[&wrong]);
        assert!(matches!(of(&layout), Err(ExtractError::NoSbom(_))), "{field}");
    }
    // And its bytes are held against the digest.
    set(&[&manifest]);
    of(&layout).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    fs::write(layout.blob(&layer), SBOM.to_ascii_uppercase()).unwrap();
    assert!(matches!(of(&layout), Err(ExtractError::Unsound { .. })));
}

#[test]
fn oras_finds_it() {
    let Some(oras) = tool("oras") else { return };
    let layout = Layout::with_sbom();
    let reference = format!("{}:dev", layout.path().display());
    let found: Value =
        serde_json::from_str(&run(&oras, &["discover", "--oci-layout", "--format", "json", &reference]))
            .unwrap();
    let found = found.get("manifests").or_else(|| found.get("referrers")).expect("oras lists them");
    assert_eq!(found[0]["digest"], layout.built.referrers[0].digest.to_string());
}
