//! The commands themselves: results, exit codes, and that no output ever holds a password.

use std::io::Write;
use std::process::{Command, Output as Ran, Stdio};

use serde_json::Value;

use super::double::{Double, Fault, PASSWORD, USER, Wants};
use super::{names, pushed};
use crate::support::{Layout, problems, stderr, stdout, temp, write};

/// The command where no configuration of the machine counts.
fn command(home: &std::path::Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasm-image"));
    for name in ["REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("RUST_LOG", "trace").args(args);
    command
}

fn ran(args: &[&str]) -> Ran {
    let home = temp();
    command(home.path(), args).output().unwrap()
}

fn json(ran: &Ran) -> Value {
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{}", stderr(ran)))
}

#[test]
fn push_tags_copy_pull() {
    let double = Double::new();
    double.with(|state| state.tags = vec!["v1".to_owned(), "x\u{1b}[2J".to_owned()]);
    let layout = Layout::new();
    let path = layout.path().display().to_string();
    let digest = layout.built.digest.to_string();
    let (v1, v2) = (double.name("a/hello:v1"), double.name("a/hello:v2"));
    let pushed = ran(&["push", &path, &v1, &v2, "--plain-http"]);
    assert!(pushed.status.success(), "{}", stderr(&pushed));
    assert!(stdout(&pushed).contains("blobs      4: 4 sent") && stdout(&pushed).contains(&digest));
    assert_eq!(stderr(&pushed).lines().filter(|line| line.ends_with(" sent")).count(), 4);
    let again = ran(&["push", &path, &v1, "--plain-http", "--quiet", "-o", "json"]);
    assert_eq!((json(&again)["digest"].as_str(), stderr(&again).as_str()), (Some(digest.as_str()), ""));
    assert_eq!(json(&again)["blobs"][0]["outcome"], "existed");
    let tags = ran(&["tags", &double.name("a/hello"), "--plain-http"]);
    assert_eq!(stdout(&tags), "v1\nx\\u{1b}[2J\n");
    let tags = ran(&["tags", &double.name("a/hello"), "--plain-http", "-o", "json"]);
    assert_eq!(json(&tags)["tags"][0], "v1");
    let copied = ran(&["copy", &v1, &double.name("b/hello"), "--plain-http", "-o", "json"]);
    assert_eq!(json(&copied)["blobs"][0]["outcome"], "mounted");
    let folder = temp();
    let tar = folder.path().join("x.tar").display().to_string();
    let pulled = ran(&["pull", &v2, "--output", &tar, "--plain-http", "--print", "json"]);
    assert_eq!(json(&pulled)["digest"], digest);
    let out = format!("oci:{}/out:v3", folder.path().display());
    let unpacked = ran(&["copy", &tar, &out]);
    assert!(unpacked.status.success(), "{}", stderr(&unpacked));
    assert!(problems(&folder.path().join("out")).is_empty());
    assert_eq!(names(folder.path()), ["out", "x.tar"]);
}

#[test]
fn exit_codes() {
    let double = Double::new();
    pushed(&double, "a/hello:v1");
    let folder = temp();
    let out = folder.path().join("out").display().to_string();
    let code = |args: &[&str]| ran(args).status.code().unwrap();
    let v1 = double.name("a/hello:v1");
    assert_eq!(code(&["pull", &v1]), 2);
    assert_eq!(code(&["push", "x.tar"]), 2);
    assert_eq!(code(&["push", "x.tar", "x", "--username", "me"]), 2);
    assert_eq!(code(&["copy", "X", "y"]), 2);
    assert_eq!(code(&["pull", &double.name("a/hello:v9"), "--output", &out, "--plain-http"]), 4);
    assert_eq!(code(&["push", &out, &v1, "--plain-http"]), 4);
    assert_eq!(code(&["pull", "registry.example.org/x", "--output", &out, "--plain-http"]), 1);
    double.fault(
        1,
        "GET",
        "/manifests/",
        Fault::Header("docker-content-digest", format!("sha256:{}", "0".repeat(64))),
    );
    assert_eq!(code(&["pull", &v1, "--output", &out, "--plain-http"]), 5);
    double.with(|state| state.wants = Wants::Basic);
    assert_eq!(code(&["pull", &v1, "--output", &out, "--plain-http"]), 3);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn credentials_from_everywhere_and_never_shown() {
    let double = Double::new();
    pushed(&double, "a/hello:v1");
    double.with(|state| state.wants = Wants::Token(format!("http://{}/token", double.host())));
    let v1 = double.name("a/hello:v1");
    let args = ["tags", &v1, "--plain-http", "--retries", "0"];
    let home = temp();
    let bin = home.path().join("bin");
    let docker = home.path().join(".docker");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&docker).unwrap();
    let config = |text: &str| write(&docker, "config.json", text.as_bytes());
    let helper = |script: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = write(&bin, "docker-credential-test", format!("#!/bin/sh\n{script}\n").as_bytes());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let shown = std::cell::RefCell::new(String::new());
    let run = |command: &mut Command| {
        let ran = command.env("PATH", &path).output().unwrap();
        shown.borrow_mut().push_str(&(stdout(&ran) + &stderr(&ran)));
        ran.status.code().unwrap()
    };
    let plain = || command(home.path(), &args);
    assert_eq!(run(&mut plain()), 3);
    // The environment.
    assert_eq!(run(plain().env("WASM_IMAGE_USERNAME", USER).env("WASM_IMAGE_PASSWORD", PASSWORD)), 0);
    assert_eq!(run(plain().env("WASM_IMAGE_USERNAME", USER)), 1);
    assert_eq!(run(plain().env("WASM_IMAGE_USERNAME", "other").env("WASM_IMAGE_PASSWORD", PASSWORD)), 3);
    // Standard input.
    let mut child = command(home.path(), &[&args[..], &["--username", USER, "--password-stdin"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    // The file.
    let pair = super::double::basic().replace("Basic ", "");
    config(&format!(r#"{{"auths":{{"{}":{{"auth":"{pair}"}}}}}}"#, double.host()));
    assert_eq!(run(&mut plain()), 0);
    let elsewhere = docker.join("config.json");
    assert_eq!(run(plain().env("HOME", "/nonexistent").env("REGISTRY_AUTH_FILE", &elsewhere)), 0);
    config(&format!(r#"{{"auths":{{"{}":{{"auth":"{PASSWORD}"}}}}}}"#, double.host()));
    assert_eq!(run(&mut plain()), 3);
    config(&format!(r#"{{"auths":"{PASSWORD}"}}"#));
    assert_eq!(run(&mut plain()), 3);
    // Helpers: good, mute, babbling, failing, missing, misnamed.
    config(r#"{"credsStore":"test"}"#);
    helper(&format!(
        r#"read r; [ "$1 $r" = "get {}" ] || exit 9; echo '{{"Username":"{USER}","Secret":"{PASSWORD}"}}'"#,
        double.host()
    ));
    assert_eq!(run(&mut plain()), 0);
    helper("echo 'credentials not found in native keychain'; exit 1");
    assert_eq!(run(&mut plain()), 3);
    for script in [
        format!("echo {PASSWORD}"),
        format!("echo {PASSWORD}; echo {PASSWORD} >&2; exit 1"),
        "yes".to_owned(),
    ] {
        helper(&script);
        assert_eq!(run(&mut plain()), 3);
    }
    config(&format!(r#"{{"credHelpers":{{"{}":"missing"}}}}"#, double.host()));
    assert_eq!(run(&mut plain()), 3);
    config(r#"{"credsStore":"../../bin/sh"}"#);
    assert_eq!(run(&mut plain()), 3);
    // What registries and their services can do wrong with a good password.
    let faults = [
        ("/tags/", Fault::Status(500, Vec::new(), "no".to_owned())),
        ("/tags/", Fault::Status(403, Vec::new(), "no".to_owned())),
        ("/tags/", Fault::Endless),
        ("/tags/", Fault::CutAnswer(3)),
        ("/tags/", Fault::Status(302, vec![("location", "http://192.0.2.1/".to_owned())], String::new())),
    ];
    for (part, fault) in faults {
        // The first request has no credentials yet.
        double.fault(2, "GET", part, fault);
        let code = run(plain().env("WASM_IMAGE_USERNAME", USER).env("WASM_IMAGE_PASSWORD", PASSWORD));
        assert_ne!(code, 0);
        double.with(|state| state.faults.clear());
    }
    let shown = shown.into_inner();
    for secret in [PASSWORD, &pair, super::double::TOKEN] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
