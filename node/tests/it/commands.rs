//! The program itself, on root folders: exit codes, JSON, and that a dry run is one.

use std::process::{Command, Output};

use serde_json::Value;

use crate::played::{DEBIAN, MAIN, Played};

fn wasm_node(root: &Played, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wasm-node"))
        .args(arguments)
        .arg("--root")
        .arg(root.folder.path())
        .output()
        .unwrap()
}

#[test]
fn broken_toml_is_said_and_left() {
    let node = Played::new("version = 2\n[plugins\n");
    for command in ["plan", "apply", "doctor", "uninstall"] {
        let ran = wasm_node(&node, &[command]);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("/etc/containerd/config.toml") && said.contains("TOML"), "{said}");
    }
    assert_eq!(node.get(MAIN).unwrap(), "version = 2\n[plugins\n");
}

#[test]
fn dry_runs_change_nothing() {
    let node = Played::bare(DEBIAN);
    let before = node.snapshot();
    // Nothing can be run in this root: containerd counts as missing, and is what comes first.
    for arguments in [["plan", "-o", "json"].as_slice(), &["apply", "--dry-run", "-o", "json"]] {
        let ran = wasm_node(&node, arguments);
        assert_eq!(ran.status.code(), Some(3), "{}", String::from_utf8_lossy(&ran.stderr));
        let said: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(said["steps"][0]["kind"], "install");
        assert_eq!(said["facts"]["os"]["codename"], "trixie");
    }
    assert_eq!(wasm_node(&node, &["uninstall", "--dry-run"]).status.code(), Some(0));
    let ran = wasm_node(&node, &["doctor", "--dry-run", "-o", "json"]);
    assert_eq!(ran.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(
        said["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|of| of["check"] == "crun" && of["severity"] == "error")
    );
    assert_eq!(node.snapshot(), before);
}

#[test]
fn help_and_completions() {
    for command in ["plan", "apply", "doctor", "uninstall", "on-host"] {
        let ran = Command::new(env!("CARGO_BIN_EXE_wasm-node")).args([command, "--help"]).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(said.contains("Example") && said.contains("Exit codes"), "{said}");
    }
    let ran = Command::new(env!("CARGO_BIN_EXE_wasm-node")).args(["completions", "bash"]).output().unwrap();
    assert!(String::from_utf8_lossy(&ran.stdout).contains("wasm-node"));
    let ran =
        Command::new(env!("CARGO_BIN_EXE_wasm-node")).args(["plan", "--handler", "A.B"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
}
