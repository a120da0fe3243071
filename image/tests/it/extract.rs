//! Taking the module out of images of every form, and which image and platform is meant.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use wasm_image::{
    BuildFormat, Digest, ExtractError, ImageForm, LocalImage, Output, Recipe, build, extract, spec,
};

use crate::by_hand::{ByHand, file, tar_of};
use crate::support::{Layout, command_module, elf, recipe, stderr, stdout, temp, wasm_image, write};

/// What the only image of the layout gives.
fn only(layout: &ByHand) -> Result<wasm_image::Extracted, ExtractError> {
    let outcome = extract(&LocalImage::only(layout.path()), None, &layout.output());
    if outcome.is_err() {
        assert_eq!(layout.left(), Vec::<String>::new(), "a failure leaves nothing");
    }
    outcome
}

#[test]
fn what_was_built_comes_out_again() {
    for (format, form) in [
        (BuildFormat::Compat, ImageForm::Compat),
        (BuildFormat::Artifact, ImageForm::Artifact),
        (BuildFormat::WasmToOci, ImageForm::WasmToOci),
    ] {
        let layout = Layout::of(format);
        let module = layout.folder.path().join("hello.wasm");
        let archive = layout.folder.path().join("hello.tar");
        build(&Recipe { format, ..recipe(&module) }, &Output::from_path(archive.clone())).unwrap();
        let output = layout.folder.path().join("out.wasm");
        for path in [layout.path(), archive] {
            let extracted = extract(&LocalImage::only(path), None, &output).unwrap();
            assert_eq!(fs::read(&output).unwrap(), command_module());
            assert_eq!(extracted.format, form);
            assert_eq!(extracted.digest, Digest::of(&command_module()));
            assert_eq!(extracted.size, command_module().len() as u64);
        }
    }
}

#[test]
fn the_command_prints_what_it_took() {
    let layout = Layout::new();
    let output = layout.folder.path().join("out.wasm");
    let run = |more: &[&str]| {
        let path = layout.path();
        let args = ["extract", path.to_str().unwrap(), "--output", output.to_str().unwrap()];
        wasm_image(&[&args[..], more].concat())
    };
    let ran = run(&["--platform", "linux/arm64", "--print", "json"]);
    let said: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&said["format"], &said["platform"]), (&json!("compat"), &json!("linux/arm64")));
    assert_eq!(said["manifest"], layout.built.manifests[1].digest.to_string());
    assert_eq!(said["entrypoint"], "/hello.wasm");
    let ran = run(&["--image", "dev"]);
    assert!(stdout(&ran).contains(&format!("digest      {}", Digest::of(&command_module()))));
    let ran = run(&["--platform", "plan9/amd64"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(stderr(&ran).contains("it is for linux/amd64, linux/arm64, wasi/wasm"), "{}", stderr(&ran));
    let ran = run(&["--image", "v9"]);
    assert!(stderr(&ran).contains("no image v9: it holds dev"), "{}", stderr(&ran));
    assert_eq!(run(&["--image", "sha256:1"]).status.code(), Some(2));
}

#[test]
fn one_of_several_images() {
    let mut layout = ByHand::new();
    for (tag, content) in [("v1", "one"), ("v2", "two")] {
        let module =
            wat::parse_str(format!(r#"(module (memory 1) (data (i32.const 0) "{content}"))"#)).unwrap();
        let image = layout.image(&json!({ "Cmd": ["/x.wasm"] }), &[tar_of(&[file("x.wasm", &module)])]);
        layout.name(image, Some(tag), Some("linux/none"));
    }
    let get = |selector: Option<&str>| {
        let selector = selector.map(|text| text.parse().unwrap());
        let extracted = extract(&LocalImage { path: layout.path(), selector }, None, &layout.output())?;
        assert_eq!(Digest::of(&fs::read(layout.output()).unwrap()), extracted.digest);
        Ok::<_, ExtractError>(extracted)
    };
    let error = get(None).unwrap_err();
    assert!(matches!(&error, ExtractError::WhichImage(found) if found.0 == ["v1", "v2"]), "{error}");
    let (one, two) = (get(Some("v1")).unwrap(), get(Some("v2")).unwrap());
    assert_ne!(one.digest, two.digest);
    assert_eq!(get(Some(&two.manifest.to_string())).unwrap().digest, two.digest);
    let nothing = Digest::of(b"").to_string();
    assert!(matches!(get(Some(&nothing)), Err(ExtractError::NoSuchImage { .. })));
    // A manifest within an index has a digest, too.
    let built = Layout::new();
    let selector = Some(built.built.manifests[2].digest.to_string().parse().unwrap());
    let image = LocalImage { path: built.path(), selector };
    let extracted = extract(&image, None, &layout.output()).unwrap();
    assert_eq!(extracted.platform.as_deref(), Some("wasi/wasm"));
}

#[test]
fn platforms_without_names_are_one_image() {
    let mut layout = ByHand::new();
    for platform in ["linux/none", "wasi/wasm", "unknown/unknown"] {
        let module = wat::parse_str(format!(r#"(module (@custom "{platform}" ""))"#)).unwrap();
        let image =
            layout.image(&json!({ "Entrypoint": ["/x.wasm"] }), &[tar_of(&[file("x.wasm", &module)])]);
        layout.name(image, None, Some(platform));
    }
    assert_eq!(only(&layout).unwrap().platform.as_deref(), Some("wasi/wasm"));
}

#[test]
fn runwasis_images() {
    let module = command_module();
    let run = json!({ "Entrypoint": ["demo.wasm"] });
    for media_type in [spec::MEDIA_RUNWASI_LAYER, spec::MEDIA_WASM_TO_OCI_LAYER, spec::MEDIA_WASM_LAYER] {
        let mut layout = ByHand::new();
        let layer = layout.put(media_type, &module);
        let manifest = layout.manifest(&layout.config(&run, &[]), &[layer]);
        layout.name(manifest, Some("latest"), Some("wasip1/wasm"));
        let extracted = only(&layout).unwrap();
        assert_eq!((extracted.format, extracted.digest), (ImageForm::Runwasi, Digest::of(&module)));
        assert_eq!(extracted.platform.as_deref(), Some("wasip1/wasm"));
        let mut layout = ByHand::new();
        let layers = [layout.put(media_type, &module), layout.put(media_type, b"\0asm\x01\0\0\0")];
        let manifest = layout.manifest(&layout.config(&run, &[]), &layers);
        layout.name(manifest, None, None);
        assert!(matches!(only(&layout), Err(ExtractError::SeveralModules(2))));
    }
}

#[test]
fn artifacts_that_are_none() {
    let module = command_module();
    let of = |config: &str, layers: &[(&str, &[u8])]| {
        let mut layout = ByHand::new();
        let layers: Vec<_> = layers.iter().map(|(kind, bytes)| layout.put(kind, bytes)).collect();
        let config = layout.put(spec::MEDIA_WASM_CONFIG, config.as_bytes());
        let manifest = layout.manifest(&config, &layers);
        layout.name(manifest, None, None);
        only(&layout)
    };
    let wasm = (spec::MEDIA_WASM_LAYER, &module[..]);
    assert_eq!(of("{}", &[wasm]).unwrap().format, ImageForm::Artifact);
    let other = (spec::MEDIA_LAYER, &b"more"[..]);
    assert!(matches!(of("{}", &[wasm, other]), Err(ExtractError::SeveralModules(2))));
    let wrong = format!(r#"{{"layerDigests":["{}"]}}"#, Digest::of(b""));
    assert!(matches!(of(&wrong, &[wasm]), Err(ExtractError::LayerDigests)));
    assert!(matches!(of("[", &[wasm]), Err(ExtractError::Unsound { .. })));
    assert!(matches!(of("{}", &[other]), Err(ExtractError::UnknownForm { .. })));
    assert!(matches!(of("{}", &[]), Err(ExtractError::UnknownForm { .. })));
    let cut = (spec::MEDIA_WASM_LAYER, &module[..module.len() - 9]);
    assert!(matches!(of("{}", &[cut]), Err(ExtractError::Module(..))));
    // A component is a binary like any other.
    let component = wat::parse_str("(component)").unwrap();
    assert!(of("{}", &[(spec::MEDIA_WASM_LAYER, &component)]).is_ok());
}

#[test]
fn entry_points_as_images_have_them() {
    let module = command_module();
    for (run, name) in [
        (json!({ "Entrypoint": ["/app/x.wasm", "serve"] }), "./app/x.wasm"),
        (json!({ "Cmd": ["/x.wasm"] }), "x.wasm"),
        (json!({ "Entrypoint": null, "Cmd": ["x.wasm"] }), "x.wasm"),
        (json!({ "Entrypoint": ["x.wasm"], "WorkingDir": "/app" }), "app/x.wasm"),
        (json!({ "Entrypoint": ["./b/../x.wasm"] }), ""),
        (json!({ "Entrypoint": ["sub/x.wasm"], "WorkingDir": "/app" }), "app/sub/x.wasm"),
        (json!({ "Entrypoint": ["x.wasm"], "Env": ["PATH=/opt/bin"] }), "opt/bin/x.wasm"),
        (json!({ "Entrypoint": ["/x.wasm#run"] }), "x.wasm"),
    ] {
        let mut layout = ByHand::new();
        let members = [("app/", tar::EntryType::Directory, &b""[..]), file(name, &module)];
        let image = layout.image(&run, &[tar_of(if name.is_empty() { &[] } else { &members })]);
        layout.name(image, None, None);
        match only(&layout) {
            Ok(extracted) => assert_eq!(extracted.digest, Digest::of(&module), "{run}"),
            Err(error) => assert!(name.is_empty() && error.to_string().contains("outside"), "{run}: {error}"),
        }
    }
    let mut layout = ByHand::new();
    let image = layout.image(&json!({}), &[tar_of(&[])]);
    layout.name(image, None, None);
    assert!(matches!(only(&layout), Err(ExtractError::NoEntryPoint)));
}

#[test]
fn what_is_run_must_be_a_whole_module() {
    let module = command_module();
    for bytes in [&elf(62, None)[..], b"", b"\0asm", b"(module)", &module[..module.len() - 1]] {
        let layout = ByHand::of_tars(&[tar_of(&[file("x.wasm", bytes)])]);
        assert!(matches!(only(&layout), Err(ExtractError::Module(..))), "{bytes:?}");
    }
}

#[test]
fn what_stands_at_the_output() {
    let layout = Layout::new();
    let folder = temp();
    let out = |name: &str| {
        let outcome = extract(&LocalImage::only(layout.path()), None, &folder.path().join(name));
        outcome.map(|_| fs::read(folder.path().join(name)).unwrap() == command_module())
    };
    write(folder.path(), "old", b"old");
    symlink("old", folder.path().join("link")).unwrap();
    assert!(out("link").unwrap());
    assert!(folder.path().join("link").is_symlink());
    assert_eq!(fs::read(folder.path().join("old")).unwrap(), command_module());
    fs::create_dir(folder.path().join("folder")).unwrap();
    assert!(matches!(out("folder"), Err(ExtractError::Output(_))));
    assert!(matches!(out("none/x"), Err(ExtractError::Output(_))));
    // The archive itself is not what is replaced by what it holds.
    let archive = folder.path().join("hello.tar");
    let module = layout.folder.path().join("hello.wasm");
    build(&recipe(&module), &Output::from_path(archive.clone())).unwrap();
    let refused = extract(&LocalImage::only(&*archive), None, &archive);
    assert!(matches!(refused, Err(ExtractError::OutputIsInput(_))));
    // A failure keeps what was there, and leaves nothing beside it.
    let old = write(folder.path(), "keep", b"old");
    fs::write(layout.blob(&layout.built.manifests[0].layer), b"damaged").unwrap();
    assert!(matches!(out("keep"), Err(ExtractError::Unsound { .. })));
    assert_eq!(fs::read(old).unwrap(), b"old");
    assert_eq!(crate::by_hand::names(folder.path()), ["folder", "hello.tar", "keep", "link", "old"]);
}
