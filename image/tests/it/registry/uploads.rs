//! Pushing to registries that are full, forgetful, picky or broken.

use std::fs;

use wasm_image::{BlobOutcome, FailureKind};

use super::double::{Double, Fault};
use super::{job, layout_with, noise, pushed, run, text};
use crate::support::Layout;

#[test]
fn no_request_too_many() {
    let double = Double::new();
    let layout = Layout::new();
    let names = [double.name("a/hello:v1"), double.name("a/hello:latest")];
    let (first, _) = job(layout.path().to_str().unwrap(), &[&names[0], &names[1]]);
    let report = run(&first).unwrap();
    assert!(report.blobs.iter().all(|blob| blob.outcome == BlobOutcome::Sent));
    // Four blobs: looked for, begun, sent. Three manifests, and the index under two names.
    let counts = ["HEAD", "POST", "PUT", "GET"].map(|method| double.count(method, "/"));
    assert_eq!(counts, [4, 4, 4 + 3 + 2, 0]);
    double.with(|state| state.seen.clear());
    let report = run(&first).unwrap();
    assert!(report.blobs.iter().all(|blob| blob.outcome == BlobOutcome::Existed));
    assert_eq!((double.count("POST", "/"), report.bytes), (0, 0));
    // Children came before what names them.
    let puts: Vec<_> = double.seen().into_iter().filter(|seen| seen.method == "PUT").collect();
    assert!(puts[..3].iter().all(|put| put.path.contains("sha256:")));
}

#[test]
fn a_neighbours_blob_is_mounted_or_sent_if_refused() {
    for no_mount in [false, true] {
        let double = Double::new();
        pushed(&double, "a/hello:v1");
        double.with(|state| state.no_mount = no_mount);
        let (copy, _) = job(&double.name("a/hello:v1"), &[&double.name("b/hello:v1")]);
        let report = run(&copy).unwrap();
        let expected = if no_mount { BlobOutcome::Sent } else { BlobOutcome::Mounted };
        assert!(report.blobs.iter().all(|blob| blob.outcome == expected), "{report:?}");
        // The answer 202 to a mount is an upload already: it is used.
        assert_eq!(double.count("POST", "/b/hello/"), 4);
        assert_eq!(double.count("GET", "/a/hello/blobs/"), if no_mount { 4 } else { 0 });
    }
}

#[test]
fn pieces_where_one_asks_for_them_or_the_registry_does() {
    let (folder, layer) = layout_with(&noise(1 << 20));
    let path = folder.path().join("layout");
    for (chunk, min, no_monolithic, patches) in
        [(Some(400_000), None, false, 3), (Some(400_000), Some(600_000), false, 2), (None, None, true, 1)]
    {
        let double = Double::new();
        double.with(|state| {
            state.no_monolithic = no_monolithic;
            state.min_chunk = min;
        });
        let (mut push, _) = job(path.to_str().unwrap(), &[&double.name("noise:v1")]);
        push.to.chunk_size = chunk;
        run(&push).unwrap();
        let sent = double.with(|state| state.blobs[&("noise".to_owned(), layer.clone())].clone());
        assert_eq!(sent, noise(1 << 20));
        // The two bytes of the configuration take one more.
        assert_eq!(double.count("PATCH", "/"), patches + 1);
    }
}

#[test]
fn a_broken_piece_goes_on_where_the_registry_stands() {
    let (folder, layer) = layout_with(&noise(1 << 20));
    let path = folder.path().join("layout");
    let double = Double::new();
    let (mut push, _) = job(path.to_str().unwrap(), &[&double.name("noise:v1")]);
    push.to.chunk_size = Some(500_000);
    push.jobs = 1;
    // The configuration's piece, then the layer's first whole piece, then one that is cut.
    double.fault(1, "PATCH", "/", Fault::Header("x-nothing", "1".to_owned()));
    double.fault(1, "PATCH", "/", Fault::Header("x-nothing", "2".to_owned()));
    double.fault(2, "PATCH", "/", Fault::CutRequest(100_000));
    let report = run(&push).unwrap();
    let blob = report.blobs.iter().find(|blob| blob.digest.to_string() == layer).unwrap();
    assert_eq!(blob.resumed, 2);
    assert_eq!(double.count("GET", "/blobs/uploads/"), 2);
    let sent = double.with(|state| state.blobs[&("noise".to_owned(), layer.clone())].clone());
    assert_eq!(sent, noise(1 << 20));
}

#[test]
fn a_broken_whole_begins_again() {
    let (folder, layer) = layout_with(&noise(1 << 20));
    let path = folder.path().join("layout");
    let double = Double::new();
    double.fault(1, "PUT", "/blobs/uploads/", Fault::CutRequest(100_000));
    double.fault(1, "PUT", "/blobs/uploads/", Fault::Status(503, Vec::new(), String::new()));
    let (push, _) = job(path.to_str().unwrap(), &[&double.name("noise:v1")]);
    run(&push).unwrap();
    assert_eq!(double.count("POST", "/"), 4);
    assert!(double.with(|state| state.blobs.contains_key(&("noise".to_owned(), layer))));
}

#[test]
fn an_upload_elsewhere_gets_no_credentials() {
    let (registry, storage) = (Double::new(), Double::new());
    registry.with(|state| {
        state.wants = super::double::Wants::Basic;
        state.upload_host = Some(format!("http://{}", storage.host()));
    });
    // The storage knows the uploads by the same names.
    storage.with(|state| {
        state.uploads.extend((1..=4).map(|number| (format!("u{number}"), Vec::new())));
    });
    let layout = Layout::new();
    let (mut push, _) = job(layout.path().to_str().unwrap(), &[&registry.name("a/hello:v1")]);
    push.to.credentials.given = Some((super::auth::credential(), "the test"));
    run(&push).unwrap();
    assert_eq!(storage.count("PUT", "/blobs/uploads/"), 4);
    assert!(storage.seen().iter().all(|seen| seen.authorization.is_none()));
    // All but the first, which was asked who it is.
    assert!(registry.seen()[1..].iter().all(|seen| seen.authorization.is_some()));
}

#[test]
fn a_damaged_layout_is_found_out_before_a_manifest_is_put() {
    for length in [100, 1 << 20] {
        let (folder, layer) = layout_with(&noise(length));
        let path = folder.path().join("layout");
        let blob = path.join("blobs/sha256").join(&layer[7..]);
        let good = fs::read(&blob).unwrap();
        let mut flipped = good.clone();
        flipped[length / 2] ^= 1;
        for (bad, words) in [
            (flipped, "is damaged"),
            (good[..length - 1].to_vec(), "its descriptor says"),
            ([good.clone(), b"x".to_vec()].concat(), "its descriptor says"),
        ] {
            fs::write(&blob, bad).unwrap();
            let double = Double::new();
            let (push, _) = job(path.to_str().unwrap(), &[&double.name("noise:v1")]);
            let error = run(&push).unwrap_err();
            assert_eq!(error.kind(), FailureKind::Integrity);
            let text = text(error);
            assert!(text.contains(words) && text.contains(&layer), "{text}");
            let (manifests, has) = double.with(|state| {
                (state.manifests.len(), state.blobs.contains_key(&("noise".into(), layer.clone())))
            });
            assert_eq!((manifests, has), (0, false));
        }
        fs::remove_file(&blob).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &blob).unwrap();
        let double = Double::new();
        let error = run(&job(path.to_str().unwrap(), &[&double.name("noise:v1")]).0).unwrap_err();
        assert!(text(error).contains("is no regular file (a link)"));
    }
}

#[test]
fn several_images_in_one_layout() {
    let layout = Layout::new();
    let mut index = layout.index_json();
    let mut other = serde_json::json!(layout.json(&layout.blob(&layout.built.digest))["manifests"][0]);
    other["annotations"] = serde_json::json!({ "org.opencontainers.image.ref.name": "one\u{1b}" });
    index["manifests"].as_array_mut().unwrap().push(other);
    layout.set_index_json(&index);
    let double = Double::new();
    let path = layout.path().display().to_string();
    let error = run(&job(&path, &[&double.name("x")]).0).unwrap_err();
    let text = text(error);
    assert!(text.contains(":dev@sha256:") && text.contains(":one\\u{1b}@sha256:"), "{text}");
    assert_eq!(
        run(&job(&format!("oci:{path}:dev"), &[&double.name("x")]).0).unwrap().digest,
        layout.built.digest
    );
    let one = &layout.built.manifests[0].digest;
    let by_digest = format!("oci:{path}@{one}");
    assert_eq!(run(&job(&by_digest, &[&double.name("x")]).0).unwrap().digest, *one);
    let error = run(&job(&format!("oci:{path}:none"), &[&double.name("x")]).0).unwrap_err();
    assert_eq!(error.kind(), FailureKind::NotFound);
}

#[test]
fn foreign_layers_stay_where_they_are() {
    let layout = Layout::new();
    let mut manifest = layout.json(&layout.blob(&layout.built.manifests[0].digest));
    manifest["layers"][0]["urls"] = serde_json::json!(["https://example.org/layer"]);
    let entry = layout.put_json(wasm_image::spec::MEDIA_MANIFEST, &manifest);
    layout.set_index_json(&serde_json::json!({ "schemaVersion": 2, "manifests": [entry] }));
    let double = Double::new();
    let (mut push, _) = job(layout.path().to_str().unwrap(), &[&double.name("x")]);
    let heard = std::sync::Arc::new(super::Heard::default());
    push.to.progress = heard.clone();
    let report = run(&push).unwrap();
    assert_eq!(report.blobs[1].outcome, BlobOutcome::Foreign);
    assert_eq!(double.count("HEAD", "/"), 1);
    assert!(heard.0.lock().unwrap()[0].contains("foreign layer"));
}
