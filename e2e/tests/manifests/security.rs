//! Every pod that anybody gets from a kustomization of ours, against the profile *restricted*, and against docs/security.md.

use std::collections::BTreeSet;

use e2e::demo;
use serde_yaml_ng::Value;

use crate::applied::{self, Pod};
use crate::restricted;

/// What a proxy needs beyond the profile: root's user, because the agent's directory on the node is root's, and that directory.
const PROXY: [&str; 3] = ["hostPath /var/lib/akri, writable", "runAsNonRoot is not true", "runAsUser 0"];
/// What both containers need beyond it where devices are udev's: its database, which nobody of us writes.
const UDEV: &str = "hostPath /run/udev, read-only";

/// What prepares a node is root there: nothing less restarts containerd.
const PREPARER: &str = "DaemonSet/akri-wasm-node";
const ROOT_ON_THE_NODE: [&str; 8] = [
    "AppArmor Unconfined",
    "SELinux type spc_t",
    "allowPrivilegeEscalation is not false",
    "capability SYS_ADMIN",
    "capability SYS_CHROOT",
    "capability SYS_PTRACE",
    "runAsNonRoot is not true",
    "runAsUser 0",
];

/// All that goes beyond the profile, and nothing else may.
fn allowed(object: &str, containers: &[&str]) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    if object == PREPARER {
        allowed.extend(["hostNetwork", "hostPID"].map(|what| format!("pod: {what}")));
    }
    for container in containers {
        if matches!(*container, "proxy" | "proxy-b") {
            allowed.extend(PROXY.map(|what| format!("{container}: {what}")));
        }
        if object == PREPARER && *container != "prepared" {
            allowed.extend(ROOT_ON_THE_NODE.map(|what| format!("{container}: {what}")));
        }
        if object == "DaemonSet/akri-udev-wasm" {
            allowed.insert(format!("{container}: {UDEV}"));
        }
    }
    allowed
}

fn containers(pod: &Pod) -> Vec<&str> {
    let lists = ["initContainers", "containers"].map(|list| pod.spec[list].as_sequence());
    lists.into_iter().flatten().flatten().map(|container| container["name"].as_str().unwrap()).collect()
}

#[test]
fn every_pod_is_restricted_but_for_what_is_named() {
    let mut seen = BTreeSet::new();
    for folder in applied::kustomizations() {
        for pod in applied::pods(&applied::objects(&folder)) {
            let containers = containers(&pod);
            let breaches = restricted::breaches(&pod.annotations, &pod.spec);
            // Equal, not only within: what is not needed any more has to go from the list.
            assert_eq!(breaches, allowed(&pod.object, &containers), "{folder}, {}", pod.object);
            seen.extend(containers.iter().map(|container| format!("{folder} {} {container}", pod.object)));
        }
    }
    // None of them is overlooked.
    let pods = [
        ("examples/broker", "Configuration/debug-echo-broker-wasm", &["broker"][..]),
        ("examples/broker", "Configuration/debug-echo-job-wasm", &["broker"]),
        ("examples/hello", "Job/hello-wasm", &["hello"]),
        ("runtimeclass", "DaemonSet/akri-debug-echo-wasm", &["handler", "proxy"]),
        ("runtimeclass/aot", "DaemonSet/akri-debug-echo-wasm", &["handler", "proxy"]),
        ("runtimeclass/debug-echo", "DaemonSet/akri-debug-echo-wasm", &["handler", "proxy"]),
        ("runtimeclass/node", PREPARER, &["apply", "doctor", "prepared"]),
        ("runtimeclass/ha", "DaemonSet/akri-debug-echo-wasm", &["handler", "proxy", "proxy-b"]),
        ("runtimeclass/udev", "DaemonSet/akri-udev-wasm", &["handler", "proxy"]),
    ];
    let expected = pods.iter().flat_map(|(folder, object, containers)| {
        containers.iter().map(move |container| format!("{folder} {object} {container}"))
    });
    let missing: Vec<String> = expected.filter(|pod| !seen.contains(pod)).collect();
    assert!(missing.is_empty(), "{missing:?} of {seen:?}");
}

/// Beyond the profile: no token, neither the automatic one nor by a volume; no addresses of services; nothing written into
/// the image; a bound on memory.
#[test]
fn no_pod_gets_what_it_does_not_need() {
    for folder in applied::kustomizations() {
        for pod in applied::pods(&applied::objects(&folder)) {
            let place = format!("{folder}, {}", pod.object);
            assert_eq!(pod.spec["automountServiceAccountToken"], false, "{place}");
            assert_eq!(pod.spec["enableServiceLinks"], false, "{place}");
            assert!(pod.spec["serviceAccountName"].is_null(), "{place}");
            let volumes = serde_yaml_ng::to_string(&pod.spec["volumes"]).unwrap();
            assert!(!volumes.contains("serviceAccountToken"), "{place}");
            for list in ["initContainers", "containers"] {
                for container in pod.spec[list].as_sequence().into_iter().flatten() {
                    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{place}");
                    assert!(container["resources"]["limits"]["memory"].is_string(), "{place}");
                }
            }
        }
    }
}

/// Images, generated names and the order of what has a name are kustomize's to say; all else is as it was looked at above.
#[test]
fn kubectl_builds_the_same_pods() {
    for folder in applied::kustomizations() {
        let ours = applied::pods(&applied::objects(&folder));
        let Some(theirs) = applied::objects_by_kubectl(&folder) else { return };
        let comparable = |mut pods: Vec<Pod>| {
            pods.sort_by(|one, other| one.object.cmp(&other.object));
            for pod in &mut pods {
                without_what_is_kustomizes(&mut pod.spec);
            }
            pods
        };
        assert_eq!(comparable(ours), comparable(applied::pods(&theirs)), "{folder}");
    }
}

/// A generated ConfigMap's name gets its digest, and what a patch adds comes first.
fn without_what_is_kustomizes(value: &mut Value) {
    match value {
        Value::Mapping(map) => {
            for (key, below) in map {
                match key.as_str() {
                    Some("configMap" | "configMapKeyRef") => below["name"] = Value::Null,
                    Some("image") => *below = Value::Null,
                    _ => without_what_is_kustomizes(below),
                }
            }
        }
        Value::Sequence(list) => {
            list.iter_mut().for_each(without_what_is_kustomizes);
            list.sort_by_key(|item| item["name"].as_str().map(str::to_owned));
        }
        _ => {}
    }
}

/// What the list above allows, people can read.
#[test]
fn the_page_names_what_goes_beyond() {
    let page = std::fs::read_to_string(demo::checkout().join("docs/security.md")).unwrap();
    let (_, section) = page.split_once("\n## Pod security\n").expect("the page has the section");
    let section = section.split("\n## ").next().unwrap();
    for word in [
        "`restricted`",
        "`runAsUser: 0`",
        "`/var/lib/akri`",
        "`/run/udev`",
        "`automountServiceAccountToken: false`",
    ] {
        assert!(section.contains(word), "{word}");
    }
}
