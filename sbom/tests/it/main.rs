//! What is said of this workspace's own programs.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test itself does")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use sbom::{Program, SbomError, sbom};
use serde_json::Value;

const NATIVE: &str = "x86_64-unknown-linux-musl";
const WASM: &str = "wasm32-wasip1";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A program of this package that says of itself what `words` say.
fn program(folder: &Path, package: &str, target: &str, words: &str) -> Program {
    let binary = folder.join(package);
    std::fs::write(&binary, words).unwrap();
    Program { package: package.to_owned(), built_with: Vec::new(), target: target.to_owned(), binary }
}

fn document(package: &str, target: &str, words: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    serde_json::from_slice(&sbom(&workspace(), &program(folder.path(), package, target, words)).unwrap())
        .unwrap()
}

fn names(document: &Value) -> BTreeSet<&str> {
    document["components"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect()
}

#[test]
fn it_is_what_is_linked_and_nothing_else() {
    let proxy = document("akri-proxy", NATIVE, "");
    let names_of_proxy = names(&proxy);
    for linked in ["std", "akri-exchange", "tokio", "tonic", "serde_json", "rustix"] {
        assert!(names_of_proxy.contains(linked), "{linked}: {names_of_proxy:?}");
    }
    // For building, for tests, for other systems, for other programs of the workspace.
    for other in ["protox", "serde_derive", "syn", "proptest", "windows-sys", "wasi", "wasm-image", "reqwest"]
    {
        assert!(!names_of_proxy.contains(other), "{other}");
    }
    let handler = document("debug-echo", WASM, "");
    let names_of_handler = names(&handler);
    assert!(names_of_handler.contains("wasi") && names_of_handler.contains("akri-handler-sdk"));
    assert!(
        names_of_handler.is_disjoint(&BTreeSet::from(["tokio", "rustix", "libc"])),
        "{names_of_handler:?}"
    );
    assert_eq!(handler["metadata"]["component"]["name"], "debug-echo");
}

#[test]
fn every_crate_has_its_checksum_and_every_edge_two_ends() {
    let document = document("akri-proxy", NATIVE, "");
    let lock = std::fs::read_to_string(workspace().join("Cargo.lock")).unwrap();
    let mut known: BTreeSet<&str> =
        BTreeSet::from([document["metadata"]["component"]["bom-ref"].as_str().unwrap()]);
    for part in document["components"].as_array().unwrap() {
        assert!(known.insert(part["bom-ref"].as_str().unwrap()), "{part} stands twice");
        assert!(part["licenses"][0]["expression"].is_string(), "{part}");
        if let Some(purl) = part["purl"].as_str() {
            assert!(purl.starts_with("pkg:cargo/"));
            assert!(lock.contains(&format!("checksum = {}", part["hashes"][0]["content"])), "{part}");
        }
    }
    let mut reached = BTreeSet::new();
    for edge in document["dependencies"].as_array().unwrap() {
        assert!(known.contains(edge["ref"].as_str().unwrap()));
        for end in edge["dependsOn"].as_array().into_iter().flatten() {
            assert!(known.contains(end.as_str().unwrap()), "{end}");
            reached.insert(end.as_str().unwrap());
        }
    }
    assert_eq!(reached.len() + 1, known.len(), "all but the program itself are somebody's");
}

#[test]
fn the_program_itself_is_believed_most() {
    let folder = tempfile::tempdir().unwrap();
    let of = |words: &str| sbom(&workspace(), &program(folder.path(), "akri-proxy", NATIVE, words));
    let known: Value = serde_json::from_slice(&of("").unwrap()).unwrap();
    let tokio = known["components"].as_array().unwrap().iter().find(|part| part["name"] == "tokio").unwrap();
    let words = |version: &str| format!("\0/index.crates.io-1949cf8c6b5b557f/tokio-{version}/src/lib.rs\0");
    of(&words(tokio["version"].as_str().unwrap())).unwrap();
    let error = of(&words("0.0.1")).unwrap_err();
    assert!(matches!(&error, SbomError::Unlisted { found, .. } if found == "tokio-0.0.1"), "{error}");
    // The standard library's version is the program's, not this machine's.
    let debian = document("akri-proxy", NATIVE, "/usr/src/rustc-1.85.0/library/std/src/lib.rs");
    assert_eq!(debian["components"][0]["version"], "1.85.0");
    assert!(known["components"][0].get("version").is_none());
    // What it is about is this very program.
    let hash = |words: &str| {
        document("akri-proxy", NATIVE, words)["metadata"]["component"]["hashes"][0]["content"].clone()
    };
    assert_eq!(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_ne!(hash(""), hash(" "));
}

#[test]
fn equal_programs_give_equal_documents() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = Vec::new();
    for (number, (locale, zone)) in [("C", "UTC"), ("de_DE.UTF-8", "Asia/Tokyo")].into_iter().enumerate() {
        let below = folder.path().join(number.to_string());
        std::fs::create_dir(&below).unwrap();
        let program = program(&below, "debug-echo", WASM, "x");
        let output = below.join("out.cdx.json");
        let ran = Command::new(env!("CARGO_BIN_EXE_sbom"))
            .args(["debug-echo", "--target", WASM, "--binary"])
            .arg(&program.binary)
            .arg("--output")
            .arg(&output)
            .envs([("LC_ALL", locale), ("TZ", zone)])
            .current_dir(workspace())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        made.push(std::fs::read_to_string(output).unwrap());
    }
    assert_eq!(made[0], made[1]);
    let text = &made[0];
    for word in ["timestamp", "serialNumber", workspace().to_str().unwrap(), folder.path().to_str().unwrap()]
    {
        assert!(!text.contains(word), "{word}");
    }
}

/// By CycloneDX's own JSON schema, in whatever program `SBOM_VALIDATOR` names (scripts/validate-sbom).
#[test]
fn the_schema_agrees() {
    let Some(validator) = std::env::var_os("SBOM_VALIDATOR") else {
        assert!(
            std::env::var_os("REQUIRE_FOREIGN_TOOLS").is_none(),
            "SBOM_VALIDATOR is not set: scripts/test sets it"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let validate = |paths: &[PathBuf]| Command::new(&validator).args(paths).output().unwrap();
    let programs = [("akri-proxy", NATIVE), ("debug-echo", WASM), ("udev", WASM), ("pause", NATIVE)];
    let documents = programs.map(|(package, target)| {
        let path = folder.path().join(format!("{package}.cdx.json"));
        std::fs::write(&path, sbom(&workspace(), &program(folder.path(), package, target, "")).unwrap())
            .unwrap();
        path
    });
    let ran = validate(&documents);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    // The validator looks.
    let mut wrong: Value = serde_json::from_slice(&std::fs::read(&documents[0]).unwrap()).unwrap();
    wrong["components"][0]["type"] = "crate".into();
    std::fs::write(&documents[0], wrong.to_string()).unwrap();
    let ran = validate(&documents);
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
}
