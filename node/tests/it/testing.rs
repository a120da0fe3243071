//! A real node of Debian testing, without systemd: containerd 2 with another form of configuration, and a crun that its
//! distribution builds without any engine. Needs root, and a Debian mirror for the packages.

use crate::node::{Node, says_hello};
use crate::played::MAIN;

/// What a person has who has no systemd: it ends containerd, and waits for that; the node's init starts it again.
const RESTART: &str = "#!/bin/sh\npid=$(pgrep -x containerd) && kill $pid && while kill -0 $pid 2>/dev/null; do sleep 0.05; done\n";
const ARGUMENTS: [&str; 2] = ["--restart-command", "sh /share/restart"];
/// A configuration of containerd 2's own form, with a folder of drop-ins.
const OWN_FORM: &str = "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n\n[plugins.'io.containerd.cri.v1.runtime']\n  restrict_oom_score_adj = true\n";

#[test]
fn on_debian_testing() {
    let Some(node) = Node::up("wasm-node-testing", &["--root", "testing"]) else { return };
    std::fs::write(node.share.join("restart"), RESTART).unwrap();
    let with = |command| node.program(&[&[command], &ARGUMENTS[..]].concat());
    assert!(
        !node.well(&["crun", "--version"]).contains("+WASM"),
        "testing's crun has an engine: is all this still needed?"
    );
    assert!(node.well(&["containerd", "config", "dump"]).contains("version = 3"));

    let (code, said) = with("plan");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("is built without WasmEdge: Debian 13's is taken, pinned and held"), "{said}");
    assert!(said.contains("crun/trixie") && said.contains("Pin-Priority: 1001"), "{said}");

    let (code, said) = with("apply");
    assert_eq!(code, 0, "{said}");
    assert!(node.well(&["crun", "--version"]).contains("+WASM:wasmedge"));
    assert_eq!(node.well(&["apt-mark", "showhold"]), "crun\n");
    // Nothing else comes from there, and crun stays.
    let upgrade = node.shell("apt-get --simulate --quiet --quiet upgrade");
    assert!(!upgrade.contains("Inst crun") && !upgrade.contains("trixie"), "{upgrade}");
    says_hello(&node.doctor());
    let (code, said) = with("apply");
    assert!(code == 0 && said.contains("nothing to do"), "{said}");

    let (code, said) = with("uninstall");
    assert_eq!(code, 0, "{said}");
    assert_eq!(node.config(), node.stock, "byte for byte");
    assert_eq!(node.well(&["apt-mark", "showhold"]), "");
    assert!(!node.shell("ls /etc/apt/sources.list.d /etc/apt/preferences.d").contains("wasm-node"));

    // crun stays installed. The file that came with the package was one of containerd 1's form.
    std::fs::write(node.share.join("config.toml"), OWN_FORM).unwrap();
    node.shell(&format!("cp /share/config.toml {MAIN} && sh /share/restart"));
    let (code, said) = with("apply");
    assert_eq!(code, 0, "{said}");
    assert_eq!(node.config(), OWN_FORM);
    assert!(
        node.well(&["cat", "/etc/containerd/conf.d/wasm-node.toml"]).contains("io.containerd.cri.v1.runtime")
    );
    says_hello(&node.doctor());
    assert_eq!(with("uninstall").0, 0);
    assert_eq!(node.run(&["test", "-e", "/etc/containerd/conf.d/wasm-node.toml"]).status.code(), Some(1));
}
