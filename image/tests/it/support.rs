//! What the tests share: inputs made by hand, the command, and layouts that can be tampered with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output as Ran};

use serde_json::Value;
use tempfile::TempDir;
use wasm_image::{
    BuildFormat, Built, Contents, Digest, Limits, Output, Problem, Recipe, Sbom, build, inspect,
};

pub(crate) const TAG: &str = "localhost/akri-wasm/hello:dev";

/// The least that says what a program is made of.
pub(crate) const SBOM: &[u8] = br#"{ "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1 }"#;

pub(crate) fn temp() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn command_module() -> Vec<u8> {
    let data = "hello ".repeat(2000);
    wat::parse_str(format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (memory (export "memory") 1) (data (i32.const 0) "{data}")
            (func (export "_start") (call 0 (i32.const 0))))"#
    ))
    .unwrap()
}

pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

pub(crate) fn recipe(module: &Path) -> Recipe {
    let contents =
        Contents::Module { path: module.to_owned(), imports: Default::default(), compiled: Vec::new() };
    Recipe::new(contents, TAG.parse().unwrap())
}

/// The command, in an environment without a time of its own.
pub(crate) fn wasm_image(args: &[&str]) -> Ran {
    Command::new(program()).env_remove("SOURCE_DATE_EPOCH").args(args).output().unwrap()
}

/// The command's program: where it was built for these tests, or, where that was done in another root, in `WASM_IMAGE`.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("WASM_IMAGE").unwrap_or_else(|| env!("CARGO_BIN_EXE_wasm-image").into()).into()
}

pub(crate) fn stderr(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

pub(crate) fn stdout(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A static x86-64 executable of one program header: enough for whoever reads headers.
pub(crate) fn elf(machine: u16, interpreter: Option<&str>) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend(2u16.to_le_bytes()); // executable
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(0x40_1000u64.to_le_bytes()); // entry
    bytes.extend(64u64.to_le_bytes()); // program headers
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    for short in [64u16, 56, 1, 64, 0, 0] {
        bytes.extend(short.to_le_bytes());
    }
    let name = interpreter.unwrap_or_default();
    bytes.extend(if interpreter.is_some() { 3u32 } else { 1u32 }.to_le_bytes());
    bytes.extend(4u32.to_le_bytes());
    for word in [120u64, 0, 0, name.len() as u64 + 1, 0, 1] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(name.as_bytes());
    bytes.push(0);
    bytes
}

/// A layout that was built from a good module, to be spoilt.
pub(crate) struct Layout {
    pub folder: TempDir,
    pub built: Built,
}

impl Layout {
    pub(crate) fn new() -> Self {
        Self::of(BuildFormat::Compat)
    }

    pub(crate) fn of(format: BuildFormat) -> Self {
        let folder = temp();
        let module = write(folder.path(), "hello.wasm", &command_module());
        let recipe = Recipe { format, ..recipe(&module) };
        let built = build(&recipe, &Output::Layout(folder.path().join("layout"))).unwrap();
        Self { folder, built }
    }

    /// One with a list of its parts attached.
    pub(crate) fn with_sbom() -> Self {
        let folder = temp();
        let module = write(folder.path(), "hello.wasm", &command_module());
        let path = write(folder.path(), "hello.cdx.json", SBOM);
        let recipe = Recipe { sboms: vec![Sbom { platform: None, path }], ..recipe(&module) };
        let built = build(&recipe, &Output::Layout(folder.path().join("layout"))).unwrap();
        Self { folder, built }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("layout")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.path().join(digest.blob_path())
    }

    pub(crate) fn blobs(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = fs::read_dir(self.path().join("blobs/sha256"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths
    }

    pub(crate) fn json(&self, path: &Path) -> Value {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    pub(crate) fn index_json(&self) -> Value {
        self.json(&self.path().join("index.json"))
    }

    pub(crate) fn set_index_json(&self, value: &Value) {
        fs::write(self.path().join("index.json"), serde_json::to_vec(value).unwrap()).unwrap();
    }

    /// Stores a blob and returns a descriptor of it.
    pub(crate) fn put(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        fs::write(self.blob(&digest), bytes).unwrap();
        serde_json::json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() })
    }

    pub(crate) fn put_json(&self, media_type: &str, value: &Value) -> Value {
        self.put(media_type, &serde_json::to_vec(value).unwrap())
    }

    /// What the inspection finds; the command must agree on whether that is bad.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        problems(&self.path())
    }
}

pub(crate) fn problems(path: &Path) -> Vec<Problem> {
    let report = inspect(path, &Limits::default()).unwrap();
    let sound = report.is_sound();
    let ran = wasm_image(&["inspect", path.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(i32::from(!sound)), "{}", stdout(&ran));
    let findings: Vec<_> = report.findings.into_iter().map(|finding| finding.problem).collect();
    for problem in &findings {
        let start: String = problem.to_string().chars().take(20).take_while(|c| !c.is_control()).collect();
        assert!(stdout(&ran).contains(&start), "{start} is missing in {}", stdout(&ran));
    }
    findings
}
