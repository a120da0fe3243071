//! k3s, RKE2, MicroK8s and containerd 2.x: by the forms of their files.

use std::path::Path;

use wasm_node::apply::{Applied, apply};
use wasm_node::config::Document;
use wasm_node::doctor::{Severity, examine};
use wasm_node::facts::{Edit, Kind, detect};
use wasm_node::options::Options;
use wasm_node::plan::plan;
use wasm_node::system::System;

use crate::applying::{applied, uninstalled};
use crate::played::{DEBIAN, HANDLER, MAIN, Played};

const K3S: [&str; 2] = [include_str!("../fixtures/k3s-v2.toml"), include_str!("../fixtures/k3s-v3.toml")];
const MICROK8S: &str = include_str!("../fixtures/microk8s.toml");
const CONTAINERD: [&str; 2] =
    [include_str!("../fixtures/containerd-2.1.toml"), include_str!("../fixtures/containerd-2.3.toml")];

/// A node whose containerd is another one's.
fn at(path: &str, text: &str) -> Played {
    let mut node = Played::new("");
    std::fs::remove_dir_all(node.folder.path().join("etc/containerd")).unwrap();
    node.put(path, text);
    node.version = "2.1.4-k3s1";
    node.live = false;
    node
}

fn edit(node: &Played) -> Edit {
    plan(&detect(node, &Options::default()).unwrap(), &Options::default()).unwrap().edit.unwrap()
}

/// Applies, looks at the file, applies again, and takes it out.
fn there_and_back(node: &Played, path: &str) -> String {
    let before = node.snapshot();
    assert_eq!(applied(node).unwrap(), Applied::Done);
    let text = node.get(path).unwrap();
    assert_eq!(applied(node).unwrap(), Applied::Unchanged);
    uninstalled(node);
    assert_eq!(node.snapshot(), before);
    text
}

#[test]
fn k3s_and_rke2_with_drop_ins_get_one() {
    for name in ["k3s", "rke2"] {
        let folder = format!("/var/lib/rancher/{name}/agent/etc/containerd");
        let node =
            at(&format!("{folder}/config.toml"), &K3S[1].replace("k3s/agent", &format!("{name}/agent")));
        let path = format!("{folder}/config-v3.toml.d/wasm-node.toml");
        assert_eq!(edit(&node), Edit::DropIn(path.clone().into()));
        let text = there_and_back(&node, &path);
        let document = Document::parse(text.as_bytes()).unwrap();
        let runtimes = document.runtimes();
        assert_eq!(runtimes.keys().collect::<Vec<_>>(), [HANDLER], "runc is k3s's own");
        assert!(runtimes[HANDLER].runtime.systemd_cgroup, "as runc");
        assert_eq!(runtimes[HANDLER].runtime.base_runtime_spec, format!("{folder}/crun-wasmedge.json"));
    }
}

#[test]
fn k3s_without_drop_ins_gets_a_template() {
    let folder = "/var/lib/rancher/k3s/agent/etc/containerd";
    let generated = format!("{folder}/config.toml");
    let node = at(&generated, K3S[0]);
    let template = format!("{folder}/config.toml.tmpl");
    let text = there_and_back(&node, &template);
    assert!(text.starts_with("{{ template \"base\" . }}\n") && !text.contains("runtimes.runc"), "{text}");
    // What k3s makes of it is TOML.
    let made = text.replace("{{ template \"base\" . }}", K3S[0]);
    assert_eq!(Document::parse(made.as_bytes()).unwrap().runtimes().len(), 2);
    // A person's own template stays.
    let own = "{{ template \"base\" . }}\n[debug]\n  level = \"{{ .Level }}\"\n";
    node.put(&template, own);
    assert!(there_and_back(&node, &template).starts_with(own));
    // And with such a table in it there is nothing to do.
    node.put(&template, "{{ template \"base\" . }}\n[plugins.x.containerd.runtimes.crun-wasmedge]\n");
    applied(&node).unwrap();
    assert_eq!(node.get(&template).unwrap().lines().count(), 2);
}

#[test]
fn microk8s_gets_a_block_in_its_template() {
    let path = "/var/snap/microk8s/current/args/containerd-template.toml";
    let node = at(path, MICROK8S);
    let facts = detect(&node, &Options::default()).unwrap();
    assert_eq!(facts.layout.kind, Kind::MicroK8s);
    let text = there_and_back(&node, path);
    assert!(text.starts_with(MICROK8S));
    let runtimes = Document::parse(text.as_bytes()).unwrap().runtimes();
    assert_eq!(runtimes.keys().collect::<Vec<_>>(), [HANDLER, "nvidia-container-runtime", "runc"]);
}

#[test]
fn containerd_2_has_other_tables_and_drop_ins() {
    let mut node = Played::new(CONTAINERD[0]);
    node.version = "2.1.9";
    let text = there_and_back(&node, MAIN);
    let runtimes = Document::parse(text.as_bytes()).unwrap().runtimes();
    assert_eq!(runtimes.keys().collect::<Vec<_>>(), [HANDLER, "runc"]);
    assert!(
        text.contains("[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.crun-wasmedge]"),
        "{text}"
    );

    let mut node = Played::new(CONTAINERD[1]);
    node.version = "2.3.0";
    let text = there_and_back(&node, "/etc/containerd/conf.d/wasm-node.toml");
    let document = Document::parse(text.as_bytes()).unwrap();
    assert_eq!(document.version().unwrap().number(), 4);
    assert_eq!(document.runtimes().keys().collect::<Vec<_>>(), [HANDLER]);

    // Without any file, 2.2 and later read the folder by themselves; older ones need a file.
    for (version, path) in
        [("2.2.1", "/etc/containerd/conf.d/wasm-node.toml"), ("2.1.9", MAIN), ("1.7.24", MAIN)]
    {
        let mut node = Played::new("");
        std::fs::remove_file(node.folder.path().join(&MAIN[1..])).unwrap();
        node.version = version;
        node.live = false;
        let facts = detect(&node, &Options::default()).unwrap();
        assert!(matches!(
            plan(&facts, &Options::default()).unwrap().edit,
            Some(Edit::Main(edited) | Edit::DropIn(edited)) if edited == Path::new(path)
        ));
    }
}

#[test]
fn open_yurt_is_looked_at() {
    let node = Played::new(DEBIAN);
    applied(&node).unwrap();
    let warnings = |node: &Played| {
        let facts = detect(node, &Options::default()).unwrap();
        let report = examine(&facts, &Options::default(), node.tree());
        assert!(report.severity() < Severity::Error, "{report}");
        let ours = report
            .findings
            .into_iter()
            .filter(|of| of.check == "openyurt" && of.severity == Severity::Warning);
        ours.map(|finding| finding.text).collect::<Vec<_>>()
    };
    assert!(warnings(&node).is_empty(), "there is none");
    node.put("/etc/systemd/system/yurthub.service", "");
    assert_eq!(warnings(&node).len(), 4);
    node.put("/etc/kubernetes/cache/kubelet/runtimeclasses.v1.node.k8s.io/crun-wasmedge", "{}");
    node.put(
        "/etc/kubernetes/cache/kubelet/nodes.v1.core/edge",
        r#"{"node.openyurt.io/autonomy-duration": "0"}"#,
    );
    node.put(
        "/etc/systemd/system/kubelet.service.d/10.conf",
        "[Service]\nEnvironment=\"KUBE_FEATURE_WatchListClient=false\"\n",
    );
    node.put("/opt/cni/bin/loopback", "");
    assert!(warnings(&node).is_empty(), "{:?}", warnings(&node));
}

#[test]
fn what_is_wrong_is_found_without_running_anything() {
    let errors = |node: &Played| {
        let options = Options { packages: wasm_node::options::Packages::Never, ..Options::default() };
        let report = examine(&detect(node, &options).unwrap(), &options, node.tree());
        report
            .findings
            .into_iter()
            .filter(|of| of.severity == Severity::Error)
            .map(|of| of.check)
            .collect::<Vec<_>>()
    };
    assert_eq!(errors(&Played::bare(DEBIAN)), ["crun", "engine", "configuration", "runtime"]);
    let node = Played::new(DEBIAN);
    assert_eq!(errors(&node), ["configuration", "base-spec", "runtime"]);
    apply(&node, &Options::default(), &mut |_| {}).unwrap();
    assert!(errors(&node).is_empty());
    node.put(
        "/proc/self/mounts",
        "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
    );
    *node.running.borrow_mut() = None;
    assert_eq!(errors(&node), ["cri", "cgroups"]);
}
