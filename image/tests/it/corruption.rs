//! Every way in which a layout can be wrong is found.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use wasm_image::{Problem, spec};

use crate::support::{Layout, stdout, wasm_image};

#[test]
fn a_good_layout_has_no_findings() {
    let layout = Layout::new();
    assert!(layout.problems().is_empty());
    let ran = wasm_image(&["inspect", layout.path().to_str().unwrap(), "-o", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(report["images"][0]["digest"], layout.built.digest.to_string());
    assert_eq!(report["blobs"], 8);
}

#[test]
fn a_flipped_byte_in_any_blob() {
    let layout = Layout::new();
    for path in layout.blobs() {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&path, bad).unwrap();
        let problems = layout.problems();
        assert!(matches!(problems[..], [Problem::Content { .. }]), "{problems:?}");
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_cut_or_missing_or_longer_blob() {
    let layout = Layout::new();
    for path in layout.blobs() {
        let good = fs::read(&path).unwrap();
        for bad in [&good[..good.len() - 1], &[], &[&good[..], b"x"].concat()] {
            fs::write(&path, bad).unwrap();
            let problems = layout.problems();
            assert!(problems.iter().any(|problem| matches!(problem, Problem::Content { .. })));
            assert!(problems.iter().any(|problem| matches!(problem, Problem::Size { .. })));
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(layout.problems()[0], Problem::Missing(_)));
        symlink("/etc/hostname", &path).unwrap();
        assert!(matches!(layout.problems()[0], Problem::NotRegular { .. }));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(layout.problems()[0], Problem::NotRegular { .. }));
        fs::remove_dir(&path).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from(0o600),
            0,
        )
        .unwrap();
        assert!(matches!(layout.problems()[0], Problem::NotRegular { .. }));
        fs::remove_file(&path).unwrap();
        fs::write(&path, good).unwrap();
    }
    assert!(layout.problems().is_empty());
}

#[test]
fn a_link_on_the_way_to_the_blobs() {
    let layout = Layout::new();
    let blobs = layout.path().join("blobs");
    fs::rename(&blobs, layout.folder.path().join("elsewhere")).unwrap();
    symlink("../elsewhere", &blobs).unwrap();
    assert!(matches!(layout.problems()[0], Problem::NotRegular { .. }));
}

#[test]
fn hostile_descriptors() {
    let layout = Layout::new();
    let good = layout.index_json();
    let set = |key: &str, value: serde_json::Value| {
        let mut index = good.clone();
        index["manifests"][0][key] = value;
        layout.set_index_json(&index);
        layout.problems()
    };
    for digest in [
        "sha256:../../x",
        "sha256:..",
        "sha256:",
        "../../etc/passwd",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:/etc/passwd",
        "SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ] {
        let problems = set("digest", json!(digest));
        assert!(matches!(problems[..], [Problem::Digest(_)]), "{digest}: {problems:?}");
    }
    assert!(matches!(set("size", json!(1))[..], [Problem::Size { .. }]));
    assert!(matches!(set("size", json!(u64::MAX))[..], [Problem::TooLarge { .. }, ..]));
    assert!(matches!(set("size", json!(-1))[..], [Problem::Malformed { .. }]));
    assert!(matches!(set("size", json!("1"))[..], [Problem::Malformed { .. }]));
    assert!(matches!(set("digest", json!(null))[..], [Problem::Malformed { .. }]));
    assert!(matches!(set("data", json!("aGVsbG8="))[..], [Problem::Embedded(_)]));
    // Called a manifest, the index is not one.
    let problems = set("mediaType", json!(spec::MEDIA_MANIFEST));
    assert!(problems.iter().any(|problem| matches!(problem, Problem::MediaType { .. })), "{problems:?}");
    // Every bad descriptor is listed, and those beside it are still looked at.
    let mut index = good.clone();
    let entry = good["manifests"][0].clone();
    index["manifests"] =
        json!([{ "digest": 1 }, entry, { "mediaType": "x/y", "digest": "sha256:..", "size": 0 }]);
    layout.set_index_json(&index);
    assert!(matches!(layout.problems()[..], [Problem::Malformed { .. }, Problem::Digest(_)]));
}

#[test]
fn wrong_configurations() {
    let layout = Layout::new();
    let built = &layout.built.manifests[0];
    let manifest = layout.json(&layout.blob(&built.digest));
    let config_digest = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
    let config = layout.json(&layout.blob(&config_digest));
    let with = |config: &serde_json::Value| {
        let mut manifest = manifest.clone();
        manifest["config"] = layout.put_json(spec::MEDIA_CONFIG, config);
        let mut entry = layout.put_json(spec::MEDIA_MANIFEST, &manifest);
        entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        layout.set_index_json(&json!({ "schemaVersion": 2, "manifests": [entry] }));
        layout.problems()
    };
    assert!(with(&config).is_empty());
    let mut bad = config.clone();
    bad["rootfs"]["diff_ids"][0] = json!(built.layer.to_string());
    assert!(matches!(with(&bad)[..], [Problem::DiffId { .. }]));
    bad["rootfs"]["diff_ids"] = json!([]);
    assert!(matches!(with(&bad)[..], [Problem::LayerCount { layers: 1, diff_ids: 0 }]));
    bad["rootfs"]["diff_ids"] = json!(["sha256:../../x"]);
    assert!(matches!(with(&bad)[..], [Problem::Digest(_)]));
    let mut bad = config.clone();
    bad["architecture"] = json!("arm64");
    assert!(matches!(with(&bad)[..], [Problem::Platform { .. }]));
    assert!(matches!(with(&json!([]))[..], [Problem::Malformed { .. }]));
}

#[test]
fn a_layer_that_is_no_gzip_and_one_that_is_zstd() {
    let layout = Layout::new();
    let manifest = layout.json(&layout.blob(&layout.built.manifests[0].digest));
    let with = |media_type: &str| {
        let mut manifest = manifest.clone();
        manifest["layers"] = json!([layout.put(media_type, b"no gzip")]);
        let entry = layout.put_json(spec::MEDIA_MANIFEST, &manifest);
        layout.set_index_json(&json!({ "schemaVersion": 2, "manifests": [entry] }));
        layout.problems()
    };
    assert!(matches!(with(spec::MEDIA_LAYER_GZIP)[..], [Problem::Decompress(_)]));
    assert!(matches!(with(spec::MEDIA_LAYER_ZSTD)[..], [Problem::Unverified(_)]));
}

#[test]
fn oversized_documents() {
    let layout = Layout::new();
    let mut huge = layout.json(&layout.blob(&layout.built.manifests[0].digest));
    huge["annotations"]["x"] = json!("x".repeat(5 << 20));
    let entry = layout.put_json(spec::MEDIA_MANIFEST, &huge);
    layout.set_index_json(&json!({ "schemaVersion": 2, "manifests": [entry] }));
    assert!(matches!(layout.problems()[..], [Problem::TooLarge { .. }]));
    let mut index = layout.index_json();
    index["annotations"] = json!({ "x": "x".repeat(5 << 20) });
    layout.set_index_json(&index);
    assert!(matches!(layout.problems()[..], [Problem::TooLarge { .. }]));
}

#[test]
fn deep_and_wide_indexes() {
    let layout = Layout::new();
    let mut index = layout.index_json();
    for _ in 0..20 {
        let entry = layout.put_json(spec::MEDIA_INDEX, &index);
        index = json!({ "schemaVersion": 2, "manifests": [entry] });
    }
    layout.set_index_json(&index);
    assert!(matches!(layout.problems()[..], [Problem::TooDeep(8)]));
    // Seven levels of a hundred entries each would be 10^14 descriptors.
    let mut index = json!({ "schemaVersion": 2, "manifests": [] });
    for _ in 0..6 {
        let entry = layout.put_json(spec::MEDIA_INDEX, &index);
        index = json!({ "schemaVersion": 2, "manifests": vec![entry; 100] });
    }
    layout.set_index_json(&index);
    assert!(matches!(layout.problems()[..], [Problem::TooMany { what: "descriptors", .. }]));
}

#[test]
fn documents_that_are_two_things_or_none() {
    let layout = Layout::new();
    let manifest = layout.json(&layout.blob(&layout.built.manifests[0].digest));
    let with = |bytes: &[u8]| {
        let entry = layout.put(spec::MEDIA_MANIFEST, bytes);
        layout.set_index_json(&json!({ "schemaVersion": 2, "manifests": [entry] }));
        layout.problems()
    };
    let mut both = manifest.clone();
    both["manifests"] = json!([]);
    assert!(matches!(with(both.to_string().as_bytes())[..], [Problem::Ambiguous]));
    let mut old = manifest.clone();
    old["schemaVersion"] = json!(1);
    assert!(matches!(with(old.to_string().as_bytes())[..], [Problem::SchemaVersion(1)]));
    for garbage in ["", "{}", "[]", "null", "{\"schemaVersion\":2}", "\u{0}", &"[".repeat(100_000)] {
        assert!(matches!(with(garbage.as_bytes())[..], [Problem::Malformed { .. }]), "{garbage:.20}");
    }
}

#[test]
fn the_layouts_own_files() {
    let layout = Layout::new();
    let marker = layout.path().join("oci-layout");
    fs::write(&marker, r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(layout.problems()[..], [Problem::LayoutVersion(_)]));
    fs::write(&marker, "x").unwrap();
    assert!(matches!(layout.problems()[..], [Problem::Malformed { .. }]));
    fs::remove_file(&marker).unwrap();
    fs::remove_file(layout.path().join("index.json")).unwrap();
    assert!(matches!(layout.problems()[..], [Problem::Missing(_), Problem::Missing(_)]));
}

#[test]
fn strangers_words_do_not_reach_the_terminal() {
    let layout = Layout::new();
    let mut index = layout.index_json();
    index["manifests"][0]["annotations"]["x\u{1b}[31m"] = json!("\u{1b}]0;title\u{7}\nforged: line");
    layout.set_index_json(&index);
    let ran = wasm_image(&["inspect", layout.path().to_str().unwrap()]);
    assert!(!stdout(&ran).contains('\u{1b}') && !stdout(&ran).contains("\nforged"));
}
