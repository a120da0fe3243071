//! What a kustomization applies, built here as far as ours go: resources, and strategic merge patches of pods. A test holds it
//! against kubectl's own, where that is installed; what is not understood fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::demo;
use serde::Deserialize;
use serde_yaml_ng::{Mapping, Value};

/// The folders that have manifests of ours.
const FOLDERS: [&str; 2] = ["runtimeclass", "examples"];

/// What ours use. `images` and `replacements` choose images, `labels` and generators say nothing of security.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kustomization {
    #[serde(rename = "apiVersion")]
    _version: String,
    #[serde(rename = "kind")]
    _kind: String,
    resources: Vec<PathBuf>,
    /// What comes behind every object's name.
    #[serde(default)]
    name_suffix: String,
    #[serde(default)]
    patches: Vec<Patch>,
    #[serde(default, rename = "images")]
    _images: Value,
    #[serde(default, rename = "replacements")]
    _replacements: Value,
    #[serde(default, rename = "labels")]
    _labels: Value,
    #[serde(default, rename = "configMapGenerator")]
    _config_maps: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    path: PathBuf,
    /// Where the patch is a list of operations, which name no object.
    #[serde(default)]
    target: Value,
}

/// One of RFC 6902's, as far as ours go.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    op: Op,
    path: String,
    value: Value,
}

/// Where a member is added or replaced, the two are the same.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Add,
    Replace,
}

/// Every folder with a kustomization, by its path in the checkout.
pub(crate) fn kustomizations() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| demo::checkout().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("kustomization.yaml") {
                let folder = folder.strip_prefix(demo::checkout()).unwrap();
                found.push(folder.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The objects that `kubectl apply -k FOLDER` would apply, but for generated ones, labels and the choice of images.
pub(crate) fn objects(folder: &str) -> Vec<Value> {
    built(&demo::checkout().join(folder))
}

/// The same from kubectl, where it is installed.
pub(crate) fn objects_by_kubectl(folder: &str) -> Option<Vec<Value>> {
    // Not a node's business, so never required.
    let output = Command::new("kubectl").arg("kustomize").arg(demo::checkout().join(folder)).output().ok()?;
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    Some(documents(std::str::from_utf8(&output.stdout).unwrap()))
}

fn built(folder: &Path) -> Vec<Value> {
    let kustomization: Kustomization =
        serde_yaml_ng::from_str(&read(&folder.join("kustomization.yaml"))).unwrap();
    let mut objects = Vec::new();
    for resource in &kustomization.resources {
        let path = folder.join(resource);
        objects.extend(if path.is_dir() { built(&path) } else { documents(&read(&path)) });
    }
    for Patch { path, target } in &kustomization.patches {
        for patch in documents(&read(&folder.join(path))) {
            let (kind, name) = match &patch {
                Value::Sequence(_) => (&target["kind"], &target["name"]),
                _ => (&patch["kind"], &patch["metadata"]["name"]),
            };
            let same = |object: &&mut Value| object["kind"] == *kind && object["metadata"]["name"] == *name;
            let object = objects.iter_mut().find(same).expect("the patch has an object");
            if patch.is_sequence() {
                operate(object, patch);
            } else {
                merge(object, &patch);
            }
        }
    }
    for object in objects.iter_mut().filter(|_| !kustomization.name_suffix.is_empty()) {
        let name = object["metadata"]["name"].as_str().expect("it has a name").to_owned();
        object["metadata"]["name"] = Value::String(name + &kustomization.name_suffix);
    }
    objects
}

fn operate(object: &mut Value, operations: Value) {
    for Operation { op, path, value } in Vec::<Operation>::deserialize(operations).unwrap() {
        let (parent, last) = path.rsplit_once('/').expect("a path begins with a slash");
        let parent = parent.split('/').skip(1).fold(&mut *object, |at, part| match at {
            Value::Sequence(list) => &mut list[part.parse::<usize>().unwrap()],
            at => at.get_mut(part).expect("the path leads somewhere"),
        });
        let members = parent.as_mapping_mut().expect("elements of lists are not added or replaced");
        let there = members.insert(Value::String(last.to_owned()), value).is_some();
        assert!(there || matches!(op, Op::Add), "{path} is replaced, and is not there");
    }
}

/// Lists whose elements have names are merged by them, as those of a pod are.
fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Mapping(into), Value::Mapping(patch)) => {
            for (key, value) in patch {
                assert!(
                    !key.as_str().is_some_and(|key| key.starts_with('$')),
                    "directives are not understood here"
                );
                match into.get_mut(key) {
                    Some(there) => merge(there, value),
                    None => drop(into.insert(key.clone(), value.clone())),
                }
            }
        }
        (Value::Sequence(into), Value::Sequence(patch))
            if patch.iter().all(|item| item["name"].is_string()) =>
        {
            for item in patch {
                match into.iter_mut().find(|there| there["name"] == item["name"]) {
                    Some(there) => merge(there, item),
                    None => into.push(item.clone()),
                }
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

/// The documents of a YAML text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A pod, wherever it stands: in a workload's template, or in a Configuration's broker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pod {
    /// KIND/NAME of the object.
    pub(crate) object: String,
    /// Of the template.
    pub(crate) annotations: Mapping,
    pub(crate) spec: Value,
}

/// Every pod in the objects.
pub(crate) fn pods(objects: &[Value]) -> Vec<Pod> {
    let mut found = Vec::new();
    for object in objects {
        let [kind, name] = [&object["kind"], &object["metadata"]["name"]].map(|word| word.as_str().unwrap());
        collect(object, &Value::Null, &format!("{kind}/{name}"), &mut found);
    }
    found
}

fn collect(value: &Value, parent: &Value, object: &str, found: &mut Vec<Pod>) {
    if value["containers"].is_sequence() {
        let annotations = parent["metadata"]["annotations"].as_mapping().cloned().unwrap_or_default();
        found.push(Pod { object: object.to_owned(), annotations, spec: value.clone() });
        return;
    }
    match value {
        Value::Mapping(map) => map.values().for_each(|below| collect(below, value, object, found)),
        Value::Sequence(list) => list.iter().for_each(|below| collect(below, value, object, found)),
        _ => {}
    }
}
