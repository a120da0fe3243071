//! Pulling from registries that are slow, broken or hostile: a clear error, nothing left, nothing outside.

use std::fs;
use std::time::Duration;

use wasm_image::{BlobOutcome, Digest, FailureKind, RegistryClient, TransferError};

use super::double::{Double, Fault};
use super::{job, layout_with, names, noise, only_no_module, options, pushed, run, text};
use crate::support::{problems, temp};

/// A registry with one image whose layer is noise; the layer's digest.
fn with_noise() -> (Double, String) {
    let double = Double::new();
    let (folder, layer) = layout_with(&noise(1 << 20));
    let path = folder.path().join("layout");
    run(&job(path.to_str().unwrap(), &[&double.name("noise:v1")]).0).unwrap();
    double.with(|state| state.seen.clear());
    (double, layer)
}

/// Pulls into a folder that must be empty afterwards.
fn failed(double: &Double, name: &str) -> TransferError {
    let folder = temp();
    let output = folder.path().join("out/");
    let error = run(&job(output.to_str().unwrap(), &[]).0.clone_with(double, name, &output)).unwrap_err();
    assert!(names(folder.path()).is_empty());
    error
}

trait CloneWith {
    fn clone_with(self, double: &Double, name: &str, output: &std::path::Path) -> wasm_image::Transfer;
}

impl CloneWith for wasm_image::Transfer {
    fn clone_with(mut self, double: &Double, name: &str, output: &std::path::Path) -> wasm_image::Transfer {
        self.source = double.name(name).parse().unwrap();
        self.destinations = vec![wasm_image::Place::Layout(output.to_owned(), None)];
        self
    }
}

#[test]
fn a_round_trip_keeps_every_byte() {
    let double = Double::new();
    let layout = pushed(&double, "a/hello:v1");
    let folder = temp();
    for output in ["out/", "out.tar"] {
        let place = format!("{}/{output}", folder.path().display());
        let report = run(&job(&double.name("a/hello:v1"), &[&place]).0).unwrap();
        assert_eq!(report.digest, layout.built.digest);
        assert!(problems(place.as_ref()).is_empty());
    }
    for blob in layout.blobs() {
        let copy = folder.path().join("out/blobs/sha256").join(blob.file_name().unwrap());
        assert_eq!(fs::read(blob).unwrap(), fs::read(copy).unwrap());
    }
    assert_eq!(names(folder.path()), ["out", "out.tar"]);
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("out/index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "v1");
}

#[test]
fn a_layout_that_is_there_gets_the_image_added_and_keeps_what_is_intact() {
    let double = Double::new();
    let layout = pushed(&double, "a/hello:v1");
    let folder = temp();
    let place = format!("{}/out/", folder.path().display());
    run(&job(&double.name("a/hello:v1"), &[&place]).0).unwrap();
    let layer = folder.path().join("out").join(layout.built.manifests[0].layer.blob_path());
    fs::write(&layer, b"spoilt").unwrap();
    double.with(|state| {
        let image = state.manifests[&("a/hello".to_owned(), "v1".to_owned())].clone();
        state.manifests.insert(("a/hello".to_owned(), "v2".to_owned()), image);
        state.seen.clear();
    });
    let report = run(&job(&double.name("a/hello:v2"), &[&place]).0).unwrap();
    let sent: Vec<_> = report.blobs.iter().filter(|blob| blob.outcome == BlobOutcome::Sent).collect();
    assert_eq!((sent.len(), &sent[0].digest), (1, &layout.built.manifests[0].layer));
    assert_eq!(double.count("GET", "/blobs/"), 1);
    assert!(problems(&folder.path().join("out")).is_empty());
    let index = fs::read_to_string(folder.path().join("out/index.json")).unwrap();
    assert!(index.contains("\"v1\"") && index.contains("\"v2\""));
    // A failure leaves it as it was.
    double.fault(1, "GET", "/manifests/v2", Fault::Status(404, Vec::new(), String::new()));
    run(&job(&double.name("a/hello:v2"), &[&place]).0).unwrap_err();
    assert_eq!(fs::read_to_string(folder.path().join("out/index.json")).unwrap(), index);
    assert_eq!(names(folder.path()), ["out"]);
}

#[test]
fn links_in_a_layout_lead_nowhere() {
    let double = Double::new();
    pushed(&double, "a/hello:v1");
    let folder = temp();
    let out = folder.path().join("out");
    let outside = folder.path().join("outside");
    fs::create_dir_all(outside.join("sha256")).unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(out.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::os::unix::fs::symlink("../outside", out.join("blobs")).unwrap();
    let place = format!("{}/", out.display());
    run(&job(&double.name("a/hello:v1"), &[&place]).0).unwrap_err();
    assert!(names(&outside.join("sha256")).is_empty());
    assert_eq!(names(folder.path()), ["out", "outside"]);
}

#[test]
fn a_blob_that_is_cut_goes_on_where_it_was() {
    for no_range in [false, true] {
        let (double, layer) = with_noise();
        double.with(|state| state.no_range = no_range);
        double.fault(2, "GET", &layer, Fault::CutAnswer(300_000));
        let folder = temp();
        let place = format!("{}/out/", folder.path().display());
        let (job, clock) = job(&double.name("noise:v1"), &[&place]);
        let report = run(&job).unwrap();
        let blob = report.blobs.iter().find(|blob| blob.digest.to_string() == layer).unwrap();
        assert_eq!(blob.resumed, 2, "{report:?}");
        assert!(!clock.waits.lock().unwrap().is_empty());
        let ranges: Vec<_> = double.seen().into_iter().filter_map(|seen| seen.range).collect();
        assert_eq!(ranges.len(), 2, "{ranges:?}");
        assert!(ranges.iter().all(|range| range.starts_with("bytes=") && range != "bytes=0-"));
        only_no_module(&folder.path().join("out"));
    }
}

#[test]
fn wrong_content_and_wrong_lengths() {
    let (double, layer) = with_noise();
    let size = 1 << 20;
    let mut forged = noise(size);
    forged[7] ^= 1;
    let long = [noise(size), b"more".to_vec()].concat();
    for (content, words) in [
        (forged, "its digest is"),
        (noise(size - 1), "has 1048575 bytes, its descriptor says 1048576"),
        (long, "has more than 1048576 bytes"),
    ] {
        for tells_length in [true, false] {
            double.fault(1, "GET", &layer, Fault::Content(content.clone(), tells_length));
            let error = failed(&double, "noise:v1");
            assert_eq!(error.kind(), FailureKind::Integrity);
            let text = text(error);
            assert!(text.contains(words) && text.contains(&layer), "{text}");
        }
    }
    double.fault(1, "GET", &layer, Fault::Endless);
    assert_eq!(failed(&double, "noise:v1").kind(), FailureKind::Integrity);
}

#[test]
fn manifests_are_bounded_and_verified() {
    let (double, _) = with_noise();
    double.fault(1, "GET", "/manifests/", Fault::Endless);
    assert!(text(failed(&double, "noise:v1")).contains("sends more than 4194304 bytes"));
    let other = Digest::of(b"other").to_string();
    double.fault(1, "GET", "/manifests/", Fault::Header("docker-content-digest", other));
    let error = failed(&double, "noise:v1");
    assert_eq!(error.kind(), FailureKind::Integrity);
    assert!(text(error).contains("the manifest from"));
    double.fault(
        1,
        "GET",
        "/manifests/",
        Fault::Header("docker-content-digest", "sha256:../../x".to_owned()),
    );
    assert!(text(failed(&double, "noise:v1")).contains("Docker-Content-Digest is no digest"));
    let digest = double.with(|state| Digest::of(&state.manifests[&("noise".into(), "v1".into())].1));
    double.fault(1, "GET", "/manifests/sha256", Fault::Content(b"{}".to_vec(), true));
    let error = failed(&double, &format!("noise@{digest}"));
    assert_eq!(error.kind(), FailureKind::Integrity);
}

#[test]
fn hostile_documents() {
    let double = Double::new();
    let manifest = wasm_image::spec::MEDIA_MANIFEST;
    let with = |layer: serde_json::Value| {
        let document =
            serde_json::json!({ "schemaVersion": 2, "mediaType": manifest, "config": layer, "layers": [] });
        double.with(|state| {
            let key = ("x".to_owned(), "v1".to_owned());
            state.manifests.insert(key, (manifest.to_owned(), document.to_string().into()));
        });
        text(failed(&double, "x:v1"))
    };
    for digest in ["sha256:../../x", "sha256:..", "../../etc/passwd", "md5:0"] {
        let text = with(serde_json::json!({ "mediaType": "x/y", "digest": digest, "size": 1 }));
        assert!(text.contains("digest"), "{text}");
    }
    assert!(with(serde_json::json!({ "mediaType": "x/y", "size": -1 })).contains("descriptor"));
    double.with(|state| {
        let key = ("x".to_owned(), "v1".to_owned());
        state.manifests.insert(key, ("text/html".to_owned(), "<html>\u{1b}[2J".into()));
    });
    let text = text(failed(&double, "x:v1"));
    assert!(text.contains("neither an index nor a manifest"), "{text}");
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let (double, layer) = with_noise();
    let error = failed(&double, "noise:v2");
    assert_eq!(error.kind(), FailureKind::NotFound);
    assert!(text(error).contains("noise:v2"));
    double.with(|state| state.blobs.remove(&("noise".to_owned(), layer.clone())));
    let error = failed(&double, "noise:v1");
    assert_eq!(error.kind(), FailureKind::NotFound);
    assert!(text(error).contains(&layer));
}

#[test]
fn patience_is_asked_for_and_has_an_end() {
    let (double, _) = with_noise();
    let again =
        |value: &str| Fault::Status(429, vec![("retry-after", value.to_owned())], "slow down".to_owned());
    double.fault(1, "GET", "/manifests/", again("7"));
    double.fault(1, "GET", "/manifests/", again("Sun, 06 Nov 1994 08:49:48 GMT"));
    double.fault(1, "GET", "/manifests/", again("99999"));
    double.fault(1, "GET", "/manifests/", Fault::Status(429, Vec::new(), String::new()));
    let folder = temp();
    let place = format!("{}/out/", folder.path().display());
    let (first, clock) = job(&double.name("noise:v1"), &[&place]);
    run(&first).unwrap();
    let waits = clock.waits.lock().unwrap().clone();
    // Asked for; a date 11 s ahead; the cap; half a second doubled thrice and spread by a quarter.
    assert_eq!(waits, [7_000, 11_000, 120_000, 3_000].map(Duration::from_millis));
    double.fault(20, "GET", "/manifests/", Fault::Status(500, Vec::new(), "on\nfire \u{1b}[2J".to_owned()));
    double.with(|state| state.seen.clear());
    let text = text(failed(&double, "noise:v1"));
    assert!(text.contains("answers 500: on fire \\u{1b}[2J"), "{text}");
    assert_eq!(double.count("GET", "/manifests/"), 6);
    double.with(|state| state.faults.clear());
    for status in [400, 501, 505] {
        double.fault(1, "GET", "/manifests/", Fault::Status(status, Vec::new(), String::new()));
        double.with(|state| state.seen.clear());
        failed(&double, "noise:v1");
        assert_eq!(double.count("GET", "/manifests/"), 1, "{status}");
    }
}

#[test]
fn a_huge_error_is_cut_short() {
    let (double, _) = with_noise();
    double.fault(1, "GET", "/manifests/", Fault::Status(400, Vec::new(), "x".repeat(10 << 20)));
    assert!(text(failed(&double, "noise:v1")).len() < 1000);
}

#[test]
fn a_silent_registry_is_left() {
    let (double, _) = with_noise();
    double.fault(1, "GET", "/manifests/", Fault::Silence);
    let folder = temp();
    let place = format!("{}/out/", folder.path().display());
    let (mut job, _) = job(&double.name("noise:v1"), &[&place]);
    job.from.stall = Duration::from_millis(50);
    job.from.retry.retries = 0;
    assert!(text(run(&job).unwrap_err()).contains("has been silent"));
}

#[test]
fn one_platform_of_several() {
    let double = Double::new();
    let layout = pushed(&double, "a/hello:v1");
    let folder = temp();
    let place = format!("{}/out/", folder.path().display());
    let (mut job, _) = job(&double.name("a/hello:v1"), &[&place]);
    job.platforms = vec!["linux/arm64".parse().unwrap()];
    let report = run(&job).unwrap();
    assert_eq!(report.digest, layout.built.manifests[1].digest);
    assert_eq!((report.blobs.len(), report.documents), (2, 1));
    assert!(problems(&folder.path().join("out")).is_empty());
    job.platforms.push("linux/amd64".parse().unwrap());
    assert!(matches!(run(&job), Err(TransferError::SeveralPlatforms { count: 2 })));
    job.platforms = vec!["linux/s390x".parse().unwrap()];
    let error = run(&job).unwrap_err();
    assert_eq!(error.kind(), FailureKind::NotFound);
    assert!(text(error).contains("only linux/amd64, linux/arm64, wasi/wasm"));
}

#[test]
fn tags_page_by_page_but_not_for_ever() {
    let double = Double::new();
    double.with(|state| {
        state.tags = (0..25).map(|number| format!("v{number:02}")).collect();
        state.tag_page = 10;
    });
    let tags = |limit| {
        let client = RegistryClient::new(&double.host(), options().0).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client.tags("a/hello", limit))
    };
    assert_eq!(tags(100).unwrap(), double.with(|state| state.tags.clone()));
    assert_eq!(double.count("GET", "/tags/list"), 3);
    assert!(tags(20).unwrap_err().to_string().contains("--limit"));
    let next = |address: &str| Fault::Header("link", format!("<{address}>; rel=\"next\""));
    double.fault(1000, "GET", "/tags/list", next("/v2/a/hello/tags/list?last=v05"));
    assert!(tags(100).unwrap_err().to_string().contains("does not end"));
    double.with(|state| state.faults.clear());
    double.fault(1, "GET", "/tags/list", next("http://127.0.0.1:1/v2/x/tags/list"));
    assert!(tags(100).unwrap_err().to_string().contains("another host"));
}
