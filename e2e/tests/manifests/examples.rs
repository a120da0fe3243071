//! The manifests in examples/: what every pod there has to say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use e2e::manifest::Quantity;
use e2e::{RUNTIME_HANDLER, demo};
use serde_yaml_ng::Value;

use crate::applied::{self, documents};

const KUSTOMIZATION: &str = "kustomization.yaml";

/// All YAML files below examples/.
fn files() -> Vec<PathBuf> {
    let mut folders = vec![demo::checkout().join("examples")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "yaml" => files.push(path),
                _ => {}
            }
        }
    }
    assert!(files.len() > 10, "{files:?}");
    files
}

fn read(path: &Path) -> Vec<Value> {
    documents(&std::fs::read_to_string(path).unwrap())
}

fn bytes(value: &Value) -> u64 {
    value.as_str().expect("it says its memory").parse::<Quantity>().unwrap().0
}

/// The Pod Security Standard "restricted", and what a wasm pod needs beside it.
fn check(pod: &Value, whose: &str) {
    assert_eq!(pod["runtimeClassName"], RUNTIME_HANDLER, "{whose}");
    assert_eq!(pod["automountServiceAccountToken"], false, "{whose}");
    assert!(pod["terminationGracePeriodSeconds"].as_u64().is_some_and(|seconds| seconds <= 1), "{whose}");
    let containers = ["initContainers", "containers"].into_iter().filter_map(|kind| pod[kind].as_sequence());
    for container in containers.flatten() {
        check_container(container, &format!("{whose}: {}", container["name"].as_str().unwrap()));
    }
}

fn check_container(container: &Value, whose: &str) {
    assert_eq!(container["imagePullPolicy"], "Always", "{whose}");
    let resources = &container["resources"];
    assert!(resources["requests"]["cpu"].is_string(), "{whose}: no request of CPU");
    assert!(bytes(&resources["requests"]["memory"]) <= bytes(&resources["limits"]["memory"]), "{whose}");
    let security = &container["securityContext"];
    assert_eq!(security["runAsNonRoot"], true, "{whose}");
    assert_eq!(security["runAsUser"], 65532, "{whose}");
    assert_eq!(security["readOnlyRootFilesystem"], true, "{whose}");
    assert_eq!(security["allowPrivilegeEscalation"], false, "{whose}");
    assert_eq!(security["capabilities"]["drop"][0], "ALL", "{whose}");
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault", "{whose}");
}

#[test]
fn every_object_has_labels_and_every_pod_is_restricted_with_requests_and_limits() {
    let mut seen = BTreeSet::new();
    for path in files() {
        // Overlays have what differs; what comes of them is looked at below.
        let partial = path.components().any(|part| part.as_os_str() == "hello-variants");
        if partial || path.ends_with(KUSTOMIZATION) {
            continue;
        }
        for object in read(&path) {
            for label in ["name", "part-of", "component"] {
                let label = format!("app.kubernetes.io/{label}");
                assert!(
                    object["metadata"]["labels"][&label].is_string(),
                    "{} has no {label}",
                    path.display()
                );
            }
            let found = applied::pods(std::slice::from_ref(&object));
            assert!(!found.is_empty(), "{} has no pod", path.display());
            found.iter().for_each(|pod| check(&pod.spec, &path.display().to_string()));
            seen.insert(object["kind"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(seen, ["Configuration", "Deployment", "Job"].map(str::to_owned).into());
}

#[test]
fn every_kustomization_says_instance_version_and_manager() {
    for path in files().iter().filter(|path| path.ends_with(KUSTOMIZATION)) {
        let labels = read(path)[0]["labels"][0]["pairs"].clone();
        assert_eq!(labels["app.kubernetes.io/version"], env!("CARGO_PKG_VERSION"), "{}", path.display());
        assert_eq!(labels["app.kubernetes.io/managed-by"], "kustomize", "{}", path.display());
        assert!(labels["app.kubernetes.io/instance"].is_string(), "{}", path.display());
    }
}

/// Where kubectl is installed: overlays, too, build pods that are restricted.
#[test]
fn overlays_build_restricted_pods() {
    for path in files().iter().filter(|path| path.ends_with(KUSTOMIZATION)) {
        let folder = path.parent().unwrap();
        let Some(objects) = applied::objects_by_kubectl(folder.to_str().unwrap()) else { return };
        let found = applied::pods(&objects);
        assert!(!found.is_empty(), "{} has no pod", folder.display());
        found.iter().for_each(|pod| check(&pod.spec, &folder.display().to_string()));
    }
}
