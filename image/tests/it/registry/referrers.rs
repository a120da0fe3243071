//! What is attached to an image goes along: where registries list it, and where clients have to.

use serde_json::{Value, json};
use wasm_image::{LocalImage, Referrers, Transfer, sbom, spec};

use super::double::{Double, Fault};
use super::{job, run, text};
use crate::support::{Layout, SBOM, problems, temp};

fn along(source: &str, destination: &str) -> Transfer {
    let (mut job, _) = job(source, &[destination]);
    job.referrers = Referrers::Along;
    job
}

fn tag_of(layout: &Layout) -> String {
    layout.built.digest.to_string().replace(':', "-")
}

fn pushed(double: &Double) -> Layout {
    let layout = Layout::with_sbom();
    let report = run(&along(layout.path().to_str().unwrap(), &double.name("a/hello:v1"))).unwrap();
    assert_eq!(report.referrers, [layout.built.referrers[0].digest.clone()]);
    assert_eq!(report.digest, layout.built.digest);
    layout
}

fn index_under(double: &Double, repository: &str, tag: &str) -> Option<Value> {
    double.with(|state| {
        let (kind, bytes) = state.manifests.get(&(repository.to_owned(), tag.to_owned()))?;
        assert_eq!(kind, spec::MEDIA_INDEX);
        Some(serde_json::from_slice(bytes).unwrap())
    })
}

#[test]
fn there_and_back_whoever_keeps_the_list() {
    for page in [None, Some(1)] {
        let double = Double::new();
        double.with(|state| state.referrer_page = page);
        let layout = pushed(&double);
        // A client keeps the list only where the registry does not.
        let index = index_under(&double, "a/hello", &tag_of(&layout));
        assert_eq!(index.is_none(), page.is_some());
        if let Some(index) = index {
            assert_eq!(index["manifests"][0]["artifactType"], spec::MEDIA_CYCLONEDX);
            assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        }
        // What is about the image is there before the image has its name.
        let puts: Vec<String> =
            double.seen().into_iter().filter(|seen| seen.method == "PUT").map(|seen| seen.path).collect();
        assert!(puts.last().unwrap().ends_with("/manifests/v1"), "{puts:?}");

        // To another repository, and from there into an archive and a layout.
        let copied = run(&along(&double.name("a/hello:v1"), &double.name("b/hello:v1"))).unwrap();
        assert_eq!(copied.referrers.len(), 1);
        let folder = temp();
        for name in ["x.tar", "x/"] {
            let place = format!("{}/{name}", folder.path().display());
            let report = run(&along(&double.name("b/hello:v1"), &place)).unwrap();
            assert_eq!(report.digest, layout.built.digest);
            assert!(problems(place.as_ref()).is_empty());
            assert_eq!(sbom(&LocalImage::only(&place), None).unwrap(), SBOM);
        }
        let left = format!("{}/left/", folder.path().display());
        let (job, _) = job(&double.name("b/hello:v1"), &[&left]);
        assert!(run(&job).unwrap().referrers.is_empty());
    }
}

#[test]
fn a_list_that_others_keep_too_keeps_theirs() {
    let double = Double::new();
    let layout = Layout::with_sbom();
    let theirs = json!({ "mediaType": spec::MEDIA_MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 2 });
    let index = json!({ "schemaVersion": 2, "mediaType": spec::MEDIA_INDEX, "manifests": [theirs] });
    double.with(|state| {
        let key = ("a/hello".to_owned(), tag_of(&layout));
        state.manifests.insert(key, (spec::MEDIA_INDEX.to_owned(), index.to_string().into()));
    });
    // Twice is as once.
    for _ in 0..2 {
        run(&along(layout.path().to_str().unwrap(), &double.name("a/hello:v1"))).unwrap();
        let index = index_under(&double, "a/hello", &tag_of(&layout)).unwrap();
        let digests: Vec<&Value> =
            index["manifests"].as_array().unwrap().iter().map(|entry| &entry["digest"]).collect();
        assert_eq!(digests, [&theirs["digest"], &json!(layout.built.referrers[0].digest.to_string())]);
    }
}

#[test]
fn a_list_is_no_proof() {
    let double = Double::new();
    let layout = pushed(&double);
    let folder = temp();
    let pulled = |name: &str| {
        let place = format!("{}/{name}/", folder.path().display());
        run(&along(&double.name("a/hello:v1"), &place))
    };
    // Something that is not about the image, in the list of what is: not carried.
    let other = json!({ "schemaVersion": 2, "mediaType": spec::MEDIA_MANIFEST, "artifactType": "x",
        "config": { "mediaType": spec::MEDIA_EMPTY, "digest": wasm_image::Digest::of(b"{}").to_string(), "size": 2 },
        "layers": [], "subject": { "mediaType": "x", "digest": wasm_image::Digest::of(b"no").to_string(), "size": 2 } });
    let other = other.to_string();
    let digest = wasm_image::Digest::of(other.as_bytes()).to_string();
    let set = |entries: Vec<Value>| {
        let index = json!({ "schemaVersion": 2, "mediaType": spec::MEDIA_INDEX, "manifests": entries });
        double.with(|state| {
            let key = |name: &str| ("a/hello".to_owned(), name.to_owned());
            state.manifests.insert(key(&digest), (spec::MEDIA_MANIFEST.to_owned(), other.clone().into()));
            state
                .manifests
                .insert(key(&tag_of(&layout)), (spec::MEDIA_INDEX.to_owned(), index.to_string().into()));
        });
    };
    let entry = json!({ "mediaType": spec::MEDIA_MANIFEST, "digest": digest, "size": other.len() });
    set(vec![entry]);
    assert!(pulled("other").unwrap().referrers.is_empty());
    // One that is not there, and a list that is none.
    let gone = json!({ "mediaType": spec::MEDIA_MANIFEST, "digest": format!("sha256:{}", "1".repeat(64)), "size": 2 });
    set(vec![gone]);
    assert!(text(pulled("gone").unwrap_err()).contains("has no such thing"));
    set(vec![json!({ "mediaType": spec::MEDIA_MANIFEST, "digest": "sha256:../../x", "size": 2 })]);
    pulled("path").unwrap_err();
    set(vec![]);
    double.fault(1, "GET", &format!("/manifests/{}", tag_of(&layout)), Fault::Content(b"no".to_vec(), false));
    pulled("none").unwrap_err();
    for name in ["gone", "path", "none"] {
        assert!(!folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_registry_without_the_list_is_asked_for_it_once() {
    let double = Double::new();
    pushed(&double);
    double.with(|state| state.seen.clear());
    let folder = temp();
    run(&along(&double.name("a/hello:v1"), &format!("{}/x/", folder.path().display()))).unwrap();
    assert_eq!(double.count("GET", "/referrers/"), 1);
}

#[test]
fn a_list_without_end_is_an_error() {
    let double = Double::new();
    double.with(|state| state.referrer_page = Some(1));
    let layout = pushed(&double);
    let link = format!("</v2/a/hello/referrers/{}?from=0>; rel=\"next\"", layout.built.digest);
    double.fault(1000, "GET", "/referrers/", Fault::Header("link", link));
    let folder = temp();
    let place = format!("{}/x/", folder.path().display());
    let error = text(run(&along(&double.name("a/hello:v1"), &place)).unwrap_err());
    assert!(error.contains("does not end"), "{error}");
}
