//! The overlay for OpenYurt's edge workers: the base's objects, and what OpenYurt's controllers make of tolerations.

use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::demo;
use e2e::manifest::DaemonSet;
use serde_yaml_ng::Value;

use crate::applied::documents;

/// What OpenYurt calls its edge nodes: <https://github.com/openyurtio/openyurt/blob/master/pkg/projectinfo/projectinfo.go>
const EDGE_WORKER: &str = "openyurt.io/is-edge-worker";
/// The taints whose tolerations OpenYurt's autonomy rewrites.
const REWRITTEN: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

fn folder() -> PathBuf {
    demo::checkout().join("runtimeclass/openyurt")
}

fn yaml(file: &Path) -> Vec<Value> {
    documents(&std::fs::read_to_string(file).unwrap())
}

fn one(file: &str) -> Value {
    let [document] = <[Value; 1]>::try_from(yaml(&folder().join(file))).unwrap();
    document
}

/// All YAML below a folder.
fn manifests(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            manifests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

/// The tolerations in a document, wherever they are: a Configuration has a pod deep inside.
fn tolerations<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        // By what it has, not by where it is: a patch has another form than a pod.
        Value::Mapping(mapping) if mapping.contains_key("key") && mapping.contains_key("effect") => {
            found.push(value);
        }
        Value::Mapping(mapping) => mapping.values().for_each(|value| tolerations(value, found)),
        Value::Sequence(values) => values.iter().for_each(|value| tolerations(value, found)),
        _ => {}
    }
}

#[test]
fn the_overlay_adds_the_label_and_pulls_nothing_that_is_there() {
    let set = DaemonSet::ours().unwrap();
    let patch = one("edge-worker.yaml");
    assert_eq!(patch["metadata"]["name"], set.metadata.name);
    let pod = patch["spec"]["template"]["spec"].as_mapping().unwrap();
    assert_eq!(pod.len(), 2, "{pod:?}");
    let selector = pod["nodeSelector"].as_mapping().unwrap();
    assert_eq!(selector.len(), 1);
    assert_eq!(selector[EDGE_WORKER], "true", "a string: labels have no booleans");
    let policies: Vec<_> = pod["containers"].as_sequence().unwrap().iter().map(policy).collect();
    let expected: Vec<_> = set.spec.template.spec.containers.iter().map(|of| (of.name.clone(), 2)).collect();
    assert_eq!(policies, expected, "every container, and nothing but its policy");
    let kustomization = one("kustomization.yaml");
    let base: Value = serde_yaml_ng::from_str("[../class, ../debug-echo]").unwrap();
    assert_eq!(kustomization["resources"], base);
    assert!(kustomization.get("images").is_none(), "images are chosen in debug-echo/kustomization.yaml");
}

/// A patched container's name, and how much is said of it.
fn policy(container: &Value) -> (String, usize) {
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    (container["name"].as_str().unwrap().to_owned(), container.as_mapping().unwrap().len())
}

#[test]
fn the_pool_is_one_of_edge_nodes_that_may_be_away() {
    let pool = one("nodepool.yaml");
    assert_eq!(
        (&pool["apiVersion"], &pool["kind"]),
        (&"apps.openyurt.io/v1beta2".into(), &"NodePool".into())
    );
    assert_eq!(pool["spec"]["type"], "Edge");
    let annotations = pool["spec"]["annotations"].as_mapping().unwrap();
    assert_eq!(annotations.keys().collect::<Vec<_>>(), [wasm_node_spec("AUTONOMY_ANNOTATION").as_str()]);
    let resources = one("kustomization.yaml")["resources"].clone();
    assert!(
        !serde_yaml_ng::to_string(&resources).unwrap().contains("nodepool"),
        "plain clusters have no such kind"
    );
}

/// A constant of wasm-node's, which looks for it on the node.
fn wasm_node_spec(name: &str) -> String {
    let source = std::fs::read_to_string(demo::checkout().join("node/src/spec.rs")).unwrap();
    let line = source.lines().find(|line| line.contains(&format!("const {name}: &str"))).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

/// yurt-manager reads `tolerationSeconds` of these without asking whether they are there.
#[test]
fn every_toleration_that_open_yurt_rewrites_says_its_seconds() {
    let mut files = Vec::new();
    for folder in ["runtimeclass", "examples"] {
        manifests(&demo::checkout().join(folder), &mut files);
    }
    let mut seen = 0;
    for file in files {
        for document in yaml(&file) {
            let mut found = Vec::new();
            tolerations(&document, &mut found);
            for toleration in found {
                if toleration["key"].as_str().is_some_and(|key| REWRITTEN.contains(&key)) {
                    assert!(toleration["tolerationSeconds"].is_u64(), "{}: {toleration:?}", file.display());
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, REWRITTEN.len(), "the brokers' tolerations are found");
}

/// Where kubectl is installed: the overlay is the base with a label more, and the brokers are the example's, with tolerations.
#[test]
fn kustomize_builds_the_overlays() {
    let build = |folder: &Path| {
        // Not a node's business, so never required.
        let output = Command::new("kubectl").arg("kustomize").arg(folder).output().ok()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", folder.display());
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let base = demo::checkout().join("runtimeclass");
    let (Some(base), Some(edge)) = (build(&base), build(&folder())) else { return };
    let label = format!("        {EDGE_WORKER}: \"true\"\n");
    let policies = ["Always", "IfNotPresent"].map(|policy| format!("imagePullPolicy: {policy}\n"));
    assert_eq!((edge.matches(&label).count(), edge.matches(&policies[1]).count()), (1, 2));
    assert_eq!(edge.replace(&label, "").replace(&policies[1], &policies[0]), base);
    let brokers = build(&folder().join("broker")).unwrap();
    let example = build(&demo::checkout().join("examples/broker")).unwrap();
    assert_eq!(brokers.matches("tolerationSeconds: 86400").count(), REWRITTEN.len());
    assert_eq!(brokers.matches(&policies[1]).count(), 1, "the pod's, not the Job's");
    // Four lines for each toleration, and the word before them.
    assert_eq!(brokers.lines().count(), example.lines().count() + 9);
}
