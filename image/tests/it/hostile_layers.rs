//! Layers that mean harm, and what they must not achieve: nothing is followed, nothing is written but one file.

use std::fs;
use std::process::Command;

use serde_json::json;
use tar::EntryType;
use wasm_image::{Digest, ExtractError, Limits, LocalImage, extract, extract_within, spec};

use crate::by_hand::{ByHand, file, gzip, tar_of};
use crate::support::{command_module, stderr};

/// What comes out of these layers, the lowest first.
fn of(layers: &[Vec<u8>]) -> Result<Digest, ExtractError> {
    let layout = ByHand::of_tars(layers);
    let outcome = extract(&LocalImage::only(layout.path()), None, &layout.output());
    let left: &[&str] = if outcome.is_ok() { &["out.wasm"] } else { &[] };
    assert_eq!(layout.left(), left);
    outcome.map(|extracted| extracted.digest)
}

fn modules() -> [Vec<u8>; 2] {
    ["1", "2"].map(|name| wat::parse_str(format!(r#"(module (@custom "{name}" ""))"#)).unwrap())
}

#[test]
fn the_uppermost_layer_wins() {
    let [one, two] = modules();
    let (lower, upper) = (tar_of(&[file("x.wasm", &one)]), tar_of(&[file("./x.wasm", &two)]));
    let unrelated = tar_of(&[file("y.wasm", b"y"), file(".wh.z", b"")]);
    assert_eq!(of(&[lower.clone(), upper.clone()]).unwrap(), Digest::of(&two));
    assert_eq!(of(&[upper, lower.clone()]).unwrap(), Digest::of(&one));
    assert_eq!(of(&[lower, unrelated]).unwrap(), Digest::of(&one));
    let twice = tar_of(&[file("x.wasm", &one), file("x.wasm", &two)]);
    assert_eq!(of(&[twice]).unwrap(), Digest::of(&two));
    assert!(matches!(of(&[tar_of(&[file("y.wasm", &one)])]), Err(ExtractError::NoSuchFile(_))));
    assert!(matches!(of(&[]), Err(ExtractError::NoSuchFile(_))));
}

#[test]
fn whiteouts_remove_what_is_below() {
    let [one, two] = modules();
    let lower = tar_of(&[file("x.wasm", &one)]);
    for whiteout in [".wh.x.wasm", ".wh..wh..opq", "./.wh..wh..opq"] {
        let gone = of(&[lower.clone(), tar_of(&[file(whiteout, b"")])]);
        assert!(matches!(gone, Err(ExtractError::NoSuchFile(_))), "{whiteout}");
        let anew = of(&[lower.clone(), tar_of(&[file("x.wasm", &two), file(whiteout, b"")])]);
        assert_eq!(anew.unwrap(), Digest::of(&two), "{whiteout}");
        let above = tar_of(&[file("x.wasm", &two)]);
        let later = of(&[lower.clone(), tar_of(&[file(whiteout, b"")]), above]);
        assert_eq!(later.unwrap(), Digest::of(&two), "{whiteout}");
    }
}

#[test]
fn links_and_devices_are_not_followed() {
    let [one, _] = modules();
    let lower = tar_of(&[file("x.wasm", &one)]);
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Directory,
        EntryType::GNUSparse,
        EntryType::new(b'?'),
    ] {
        let outcome = of(&[lower.clone(), tar_of(&[("x.wasm", kind, b"")])]);
        assert!(matches!(outcome, Err(ExtractError::NotAFile { .. })), "{kind:?}");
    }
    let mut layout = ByHand::new();
    let run = json!({ "Entrypoint": ["/app/x.wasm"] });
    let through = tar_of(&[("app", EntryType::Symlink, b""), file("app/x.wasm", &one)]);
    let image = layout.image(&run, &[tar_of(&[file("app/x.wasm", &one)]), through]);
    layout.name(image, None, None);
    let outcome = extract(&LocalImage::only(layout.path()), None, &layout.output());
    assert!(matches!(outcome, Err(ExtractError::NotAFile { path, .. }) if path == "/app"));
}

#[test]
fn names_that_point_outside_condemn_the_layer() {
    let [one, _] = modules();
    for name in ["../x.wasm", "/x.wasm", "a/../../x.wasm", "a/../x.wasm", "/etc/passwd"] {
        let outcome = of(&[tar_of(&[file("x.wasm", &one), file(name, &one)])]);
        assert!(matches!(outcome, Err(ExtractError::MemberOutside { .. })), "{name}");
    }
    let hidden = tar_of(&[("e", EntryType::XHeader, b"21 path=../../x.wasm\n"), file("x.wasm", &one)]);
    assert!(matches!(of(&[hidden]), Err(ExtractError::MemberOutside { .. })));
}

#[test]
fn damaged_tars_and_streams() {
    let [one, _] = modules();
    let good = tar_of(&[file("y", &[7; 700]), file("x.wasm", &one)]);
    let (header, content) = (512 + 1024, 512 + 1024 + 512);
    // The lie is told with right digests.
    for end in [100, 600, header + 1, content - 1, content, content + one.len() - 1] {
        assert!(matches!(of(&[good[..end].to_vec()]), Err(ExtractError::Layer { .. })), "cut at {end}");
    }
    assert!(matches!(of(&[good[..header].to_vec()]), Err(ExtractError::NoSuchFile(_))));
    // The padding and the end mark may be missing.
    assert_eq!(of(&[good[..content + one.len()].to_vec()]).unwrap(), Digest::of(&one));
    let mut flipped = good.clone();
    flipped[150] ^= 1;
    assert!(matches!(of(&[flipped]), Err(ExtractError::Layer { .. })));
    // A stream that is no gzip, one that is cut off, one with something after it, and one of another kind.
    let run = json!({ "Entrypoint": ["/x.wasm"] });
    let zipped = gzip(&good);
    let with = |media_type: &str, blob: &[u8], diff_id: Digest| {
        let mut layout = ByHand::new();
        let config = layout.config(&run, &[diff_id.to_string()]);
        let manifest = layout.manifest(&config, &[layout.put(media_type, blob)]);
        layout.name(manifest, None, None);
        extract(&LocalImage::only(layout.path()), None, &layout.output()).map(|extracted| extracted.digest)
    };
    let id = Digest::of(&good);
    assert_eq!(with(spec::MEDIA_LAYER_GZIP, &zipped, id.clone()).unwrap(), Digest::of(&one));
    assert_eq!(with(spec::MEDIA_LAYER, &good, id.clone()).unwrap(), Digest::of(&one));
    let layer = |outcome| matches!(outcome, Err(ExtractError::Layer { .. }));
    assert!(layer(with(spec::MEDIA_LAYER_GZIP, b"no gzip", id.clone())));
    assert!(layer(with(spec::MEDIA_LAYER_GZIP, &zipped[..zipped.len() - 9], id.clone())));
    assert!(layer(with(spec::MEDIA_LAYER_GZIP, &[&zipped[..], b"more"].concat(), id.clone())));
    let zstd = with(spec::MEDIA_LAYER_ZSTD, &zipped, id);
    assert!(matches!(zstd, Err(ExtractError::Compression { .. })));
    let wrong = with(spec::MEDIA_LAYER_GZIP, &zipped, Digest::of(b""));
    assert!(matches!(wrong, Err(ExtractError::Unsound { .. })));
}

#[test]
fn every_flipped_byte_of_every_blob_is_an_error() {
    let layout = ByHand::of_tars(&[tar_of(&[file("x.wasm", &command_module())])]);
    for entry in fs::read_dir(layout.path().join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let good = fs::read(&path).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let outcome = extract(&LocalImage::only(layout.path()), None, &layout.output());
            assert!(outcome.is_err() && layout.left().is_empty(), "byte {at} of {}", path.display());
        }
        fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        assert!(extract(&LocalImage::only(layout.path()), None, &layout.output()).is_err());
        fs::remove_file(&path).unwrap();
        assert!(extract(&LocalImage::only(layout.path()), None, &layout.output()).is_err());
        fs::write(&path, good).unwrap();
    }
    assert!(extract(&LocalImage::only(layout.path()), None, &layout.output()).is_ok());
}

#[test]
fn bombs_cost_neither_memory_nor_for_ever() {
    let [one, _] = modules();
    let zeros = vec![0; 256 << 20];
    let bomb = tar_of(&[file("zeros", &zeros), file("x.wasm", &one)]);
    let layout = ByHand::of_tars(std::slice::from_ref(&bomb));
    drop(bomb);
    // A quarter of a gigabyte passes through a hundred megabytes of address space.
    let ran = Command::new("sh")
        .args(["-c", "ulimit -v 100000 && exec \"$0\" extract \"$1\" --output \"$2\""])
        .arg(env!("CARGO_BIN_EXE_wasm-image"))
        .arg(layout.path())
        .arg(layout.output())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", stderr(&ran));
    fs::remove_file(layout.output()).unwrap();
    let within = |limits: Limits| {
        extract_within(&limits, &LocalImage::only(layout.path()), None, &layout.output()).unwrap_err()
    };
    let error = within(Limits { unpacked: 1 << 20, ..Limits::default() });
    assert!(matches!(error, ExtractError::TooMuch { what: "bytes of unpacked layers", .. }), "{error}");
    let error = within(Limits { layer_members: 1, ..Limits::default() });
    assert!(matches!(error, ExtractError::TooMuch { what: "members in a layer", .. }), "{error}");
    let error = within(Limits { module: 8, ..Limits::default() });
    assert!(matches!(error, ExtractError::TooMuch { what: "bytes of a module", .. }), "{error}");
    let error = within(Limits { documents: 100, ..Limits::default() });
    assert!(matches!(error, ExtractError::Unsound { .. }), "{error}");
    assert!(layout.left().is_empty());
}

#[test]
fn names_of_strangers_do_not_reach_the_terminal() {
    let mut layout = ByHand::new();
    let image = layout.image(&json!({ "Entrypoint": ["/\u{1b}[31m.wasm"] }), &[tar_of(&[])]);
    layout.name(image, Some("a\u{1b}]0;b\n"), None);
    let image = layout.image(&json!({ "Entrypoint": ["/y"] }), &[]);
    layout.name(image, Some("\u{7}"), None);
    for more in [&[][..], &["--image", "no"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wasm-image"));
        let ran = command
            .arg("extract")
            .arg(layout.path())
            .arg("--output")
            .arg(layout.output())
            .args(more)
            .output()
            .unwrap();
        assert_eq!(ran.status.code(), Some(1));
        assert!(!stderr(&ran).trim_end().contains(['\u{1b}', '\u{7}', '\n']), "{}", stderr(&ran));
    }
}
