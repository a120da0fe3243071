//! `wasm-image check`, as the Makefile runs it.

use crate::support::{command_module, stderr, stdout, temp, wasm_image, write};

#[test]
fn prints_sizes_and_imports() {
    let folder = temp();
    let module = write(folder.path(), "x.wasm", &command_module());
    let path = module.to_str().unwrap();
    let ran = wasm_image(&["check", path, "--max-size", "100000", "--max-gzip", "1000"]);
    assert_eq!(ran.status.code(), Some(0), "{}", stdout(&ran));
    assert!(stdout(&ran).contains("wasi_snapshot_preview1: proc_exit"));
    let ran = wasm_image(&["check", path, "-o", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(report["size"], command_module().len());
    assert_eq!(report["command"], "command");
    assert!(report["gzip_size"].as_u64().unwrap() < 1000);
}

#[test]
fn names_every_broken_rule() {
    let folder = temp();
    let text = r#"(module (import "env" "f" (func)) (import "a" "g" (func)) (memory (export "memory") 1))"#;
    let module = write(folder.path(), "x.wasm", &wat::parse_str(text).unwrap());
    let path = module.to_str().unwrap();
    let ran = wasm_image(&["check", path, "--max-size", "10", "--max-gzip", "10"]);
    assert_eq!(ran.status.code(), Some(1));
    for part in ["limit of 10", "after gzip", "_start", "imports from a, env"] {
        assert!(stdout(&ran).contains(part), "{part}: {}", stdout(&ran));
    }
}

#[test]
fn what_is_no_module_is_an_error() {
    let folder = temp();
    let module = write(folder.path(), "x.wasm", b"\0asm\x0d\0\x01\0");
    let ran = wasm_image(&["check", module.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(stderr(&ran).contains("wasm32-wasip1"));
}
