//! Building from static binaries.

use std::fs;

use wasm_image::{Limits, inspect};

use crate::support::{TAG, elf, stderr, temp, wasm_image, write};

const AMD64: u16 = 62;
const ARM64: u16 = 183;

#[test]
fn one_index_for_all_binaries() {
    let folder = temp();
    for (name, machine) in [("a", AMD64), ("b", ARM64)] {
        fs::create_dir(folder.path().join(name)).unwrap();
        write(&folder.path().join(name), "proxy", &elf(machine, None));
    }
    let amd64 = format!("linux/amd64={}", folder.path().join("a/proxy").display());
    let arm64 = format!("linux/arm64={}", folder.path().join("b/proxy").display());
    let build = |name: &str, first: &str, second: &str| {
        let output = folder.path().join(name);
        let ran = wasm_image(&[
            "build",
            "--native",
            first,
            "--native",
            second,
            "--tag",
            TAG,
            "--user",
            "0",
            "--cmd",
            "serve",
            "--output",
            output.to_str().unwrap(),
        ]);
        assert!(ran.status.success(), "{}", stderr(&ran));
        output
    };
    let one = build("one.tar", &amd64, &arm64);
    let two = build("two.tar", &arm64, &amd64);
    assert_eq!(fs::read(&one).unwrap(), fs::read(two).unwrap());

    let report = inspect(&one, &Limits::default()).unwrap();
    assert!(report.is_sound() && report.findings.is_empty());
    let manifests = &report.images[0].children;
    assert_eq!(
        manifests.iter().map(|node| node.platform.as_deref().unwrap()).collect::<Vec<_>>(),
        ["linux/amd64", "linux/arm64"]
    );
    let config = manifests[0].children[0].config.as_ref().unwrap();
    assert_eq!((config.entrypoint[0].as_str(), config.cmd[0].as_str()), ("/proxy", "serve"));
    assert_eq!(config.user.as_deref(), Some("0"));
    assert!(!manifests[0].document_annotations.contains_key("module.wasm.image/variant"));
    assert_ne!(manifests[0].children[1].digest, manifests[1].children[1].digest);
}

#[test]
fn refuses_what_does_not_run_on_an_empty_root() {
    let folder = temp();
    let mut object = elf(AMD64, None);
    object[16] = 1;
    let cases: [(&str, Vec<u8>, &[&str], &str); 9] = [
        (
            "dynamic",
            elf(AMD64, Some("/lib64/ld-linux-x86-64.so.2")),
            &[],
            "needs /lib64/ld-linux-x86-64.so.2",
        ),
        ("wrong", elf(AMD64, None), &["--platform", "linux/arm64"], "for linux/amd64, not for linux/arm64"),
        ("odd", elf(9999, None), &[], "machine 9999"),
        ("wasi", elf(AMD64, None), &["--platform", "wasi/wasm"], "cannot be built for wasi/wasm"),
        ("object", object, &[], "no executable"),
        ("cut", elf(AMD64, None)[..70].to_vec(), &[], "cut off"),
        ("script", b"#!/bin/sh\n".to_vec(), &[], "a script"),
        ("module", b"\0asm\x01\0\0\0".to_vec(), &[], "no ELF binary"),
        ("x.wat", elf(AMD64, None), &[], "WasmEdge"),
    ];
    for (name, bytes, more, message) in cases {
        let binary = write(folder.path(), name, &bytes);
        let output = folder.path().join("out");
        let args = [
            "build",
            "--native",
            binary.to_str().unwrap(),
            "--tag",
            TAG,
            "--output",
            output.to_str().unwrap(),
        ];
        let ran = wasm_image(&[&args[..], more].concat());
        assert_eq!(ran.status.code(), Some(1), "{name}: {}", stderr(&ran));
        assert!(stderr(&ran).contains(message), "{name}: {}", stderr(&ran));
        assert!(!output.exists(), "{name}");
    }
}

#[test]
fn refuses_two_binaries_for_one_platform_and_two_names() {
    let folder = temp();
    let a = write(folder.path(), "a", &elf(AMD64, None));
    let b = write(folder.path(), "b", &elf(ARM64, None));
    let output = folder.path().join("out");
    let build = |first: &str, second: &str, more: &[&str]| {
        let args = [
            "build",
            "--native",
            first,
            "--native",
            second,
            "--tag",
            TAG,
            "--output",
            output.to_str().unwrap(),
        ];
        wasm_image(&[&args[..], more].concat())
    };
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    assert!(stderr(&build(a, a, &[])).contains("two binaries are for linux/amd64"));
    assert!(stderr(&build(a, b, &[])).contains("--name"));
    assert!(build(a, b, &["--name", "proxy"]).status.success());
}
