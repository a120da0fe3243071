//! What an inspection tells of modules: bare ones, and those in images of every form.

use std::fs;

use serde_json::{Value, json};
use tar::EntryType;
use wasm_image::{
    Answer, BinaryKind, BuildFormat, CommandKind, Engine, Feature, InputKind, InspectError, Limits, Problem,
    Report, inspect, spec,
};

use crate::by_hand::{ByHand, file, tar_of};
use crate::support::{Layout, command_module, elf, stderr, stdout, temp, wasm_image, write};

/// The command's answer in JSON, and whether it found nothing wrong.
fn json_of(path: &std::path::Path) -> (Value, bool) {
    let ran = wasm_image(&["inspect", path.to_str().unwrap(), "-o", "json"]);
    (serde_json::from_slice(&ran.stdout).unwrap(), ran.status.code() == Some(0))
}

fn bare(bytes: &[u8]) -> Report {
    let folder = temp();
    inspect(&write(folder.path(), "x.wasm", bytes), &Limits::default()).unwrap()
}

const RICH: &str = r#"(module
    (@custom "producers" "\01\08language\01\04Rust\042024")
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (import "env" "m" (memory 1 2))
    (table 3 9 funcref)
    (memory (export "memory") 2)
    (global (export "g") i32 (i32.const 1))
    (func $start (export "_start") (drop (i32.extend8_s (i32.const 1)))))"#;

#[test]
fn all_of_a_bare_module() {
    let folder = temp();
    let path = write(folder.path(), "x.wasm", &wat::parse_str(RICH).unwrap());
    let (said, sound) = json_of(&path);
    assert!(sound);
    assert_eq!((&said["kind"], &said["images"]), (&json!("module"), &json!([])));
    let module = &said["modules"][0];
    assert_eq!(module["kind"], "module");
    assert_eq!(module["size"], fs::metadata(&path).unwrap().len());
    assert_eq!(module["command"], "command");
    assert_eq!(
        module["imports"]["wasi_snapshot_preview1"][1],
        json!({ "name": "proc_exit", "kind": "function" })
    );
    assert_eq!(module["imports"]["env"], json!([{ "name": "m", "kind": "memory" }]));
    let exports: Vec<_> =
        module["exports"].as_array().unwrap().iter().map(|export| &export["kind"]).collect();
    assert_eq!(exports, ["memory", "global", "function"]);
    let memory = |min: u64, imported: bool| json!({ "min_pages": min, "page_size": 65536, "memory64": false, "shared": false, "imported": imported });
    let mut first = memory(1, true);
    first["max_pages"] = json!(2);
    assert_eq!(module["memories"], json!([first, memory(2, false)]));
    let table = json!({ "element": "funcref", "min": 3, "max": 9, "imported": false });
    assert_eq!(module["tables"], json!([table]));
    assert_eq!(module["producers"], json!({ "language": ["Rust 2024"] }));
    assert_eq!(module["name_section"], true);
    assert_eq!(module["custom_sections"][0]["name"], "producers");
    assert_eq!(module["features"], json!(["sign-extension", "multi-memory"]));
    assert_eq!(module["engines"][0]["engine"], "crun-wasmedge");
    assert_eq!(module["engines"][0]["answer"], "refuses");
    assert_eq!(module.get("aot"), None);
    let text = stdout(&wasm_image(&["inspect", path.to_str().unwrap()]));
    for line in [
        "imports    wasi_snapshot_preview1: fd_write proc_exit",
        "exports    memory (memory), g (global), _start (function)",
        "memory     1 page of 65536 bytes, up to 2, imported",
        "table      3 of funcref, up to 9",
        "producers  language: Rust 2024",
        "features   sign-extension multi-memory",
        "crun + WasmEdge 0.14   refuses: it has not by default: multi-memory",
        "nothing is wrong",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}

#[test]
fn every_form_of_image_tells_of_its_module() {
    let answers = |format| {
        let layout = Layout::of(format);
        let (said, sound) = json_of(&layout.path());
        assert!(sound);
        let modules = said["modules"].as_array().unwrap();
        assert_eq!(modules.len(), 1, "one module, however many platforms");
        assert_eq!(modules[0]["image"]["format"], BuildFormat::as_str(format));
        assert_eq!(modules[0]["digest"], wasm_image::Digest::of(&command_module()).to_string());
        let engines = modules[0]["engines"].as_array().unwrap();
        let answers: Vec<_> =
            engines.iter().map(|engine| engine["answer"].as_str().unwrap().to_owned()).collect();
        (modules[0].clone(), answers)
    };
    let (compat, takes) = answers(BuildFormat::Compat);
    assert_eq!(compat["image"]["platforms"], json!(["linux/amd64", "linux/arm64", "wasi/wasm"]));
    assert_eq!(compat["image"]["entrypoint"], "/hello.wasm");
    assert_eq!(compat["manifests"].as_array().unwrap().len(), 3);
    assert_eq!(takes, ["takes"; 7]);
    let (artifact, takes) = answers(BuildFormat::Artifact);
    assert_eq!(artifact["image"]["platforms"], json!(["wasip1/wasm"]));
    assert_eq!(takes, ["refuses", "refuses", "refuses", "takes", "takes", "takes", "takes"]);
    let (old, takes) = answers(BuildFormat::WasmToOci);
    assert_eq!(old["image"]["platforms"], json!([]));
    assert_eq!(takes, ["refuses", "refuses", "refuses", "refuses", "refuses", "refuses", "takes"]);
}

#[test]
fn native_images_have_no_modules_and_no_findings() {
    let layout = ByHand::of_tars(&[]);
    assert_eq!(json_of(&layout.path()).0["findings"][0]["severity"], "note");
    let mut layout = ByHand::new();
    let binary = elf(62, None);
    let image = layout.image(&json!({ "Entrypoint": ["/proxy"] }), &[tar_of(&[file("proxy", &binary)])]);
    layout.name(image, None, None);
    let report = inspect(&layout.path(), &Limits::default()).unwrap();
    assert!(report.modules.is_empty() && report.findings.is_empty(), "{report}");
}

#[test]
fn what_is_run_and_is_no_module_is_found() {
    let of = |tars: &[Vec<u8>]| {
        let layout = ByHand::of_tars(tars);
        let report = inspect(&layout.path(), &Limits::default()).unwrap();
        let ran = wasm_image(&["inspect", layout.path().to_str().unwrap()]);
        assert_eq!(ran.status.success(), report.is_sound());
        assert!(report.modules.is_empty() || !report.is_sound());
        let problem = report.findings.into_iter().map(|finding| finding.problem).next();
        (problem.map(|problem| problem.to_string()).unwrap_or_default(), ran.status.success())
    };
    let whole = command_module();
    let (cut, sound) = of(&[tar_of(&[file("x.wasm", &whole[..whole.len() - 9])])]);
    assert!(cut.contains("no whole module: the module is cut off") && !sound, "{cut}");
    let (elf, sound) = of(&[tar_of(&[file("x.wasm", &elf(62, None))])]);
    assert!(elf.contains("does not begin with") && !sound, "{elf}");
    let (outside, sound) = of(&[tar_of(&[file("x.wasm", &whole), file("../x", b"")])]);
    assert!(outside.contains("points outside") && !sound, "{outside}");
    // Odd, but nothing that harms who does not run it.
    let (link, sound) = of(&[tar_of(&[("x.wasm", EntryType::Symlink, b"")])]);
    assert!(link.contains("a link") && sound, "{link}");
    let (none, sound) = of(&[tar_of(&[])]);
    assert!(none.contains("in no layer") && sound, "{none}");
    // A body that leaves nothing on the stack, though it promised a number.
    let mut invalid = wat::parse_str("(module (func (result i32) (i32.const 1)))").unwrap();
    let at = invalid.windows(2).rposition(|pair| pair == [0x41, 1]).unwrap();
    invalid[at..at + 2].copy_from_slice(&[1, 1]);
    let (invalid, sound) = of(&[tar_of(&[file("x.wasm", &invalid)])]);
    assert!(invalid.contains("not valid") && !sound, "{invalid}");
}

#[test]
fn bare_binaries_of_other_kinds() {
    let component = bare(&wat::parse_str("(component (core module))").unwrap());
    assert_eq!(component.kind, InputKind::Module);
    assert!(component.is_sound());
    let module = &component.modules[0];
    assert_eq!((module.module.kind, module.module.command), (BinaryKind::Component, None));
    let takes: Vec<_> = module
        .engines
        .iter()
        .filter(|verdict| verdict.answer == Answer::Takes)
        .map(|verdict| verdict.engine)
        .collect();
    assert_eq!(takes, [Engine::RunwasiWasmtime, Engine::Wasmtime]);
    assert!(component.to_string().contains("a component"));

    let library = bare(&wat::parse_str("(module)").unwrap());
    assert_eq!(library.modules[0].module.command, Some(CommandKind::NoStart));
    assert_eq!(library.modules[0].module.features, Some(Vec::new()));
    let shared = bare(&wat::parse_str("(module (memory 1 1 shared))").unwrap());
    assert_eq!(shared.modules[0].module.features, Some(vec![Feature::SharedMemory]));
    let atomics = "(module (memory 1 1) (func (drop (i32.atomic.load (i32.const 254)))))";
    let atomics = bare(&wat::parse_str(atomics).unwrap());
    assert_eq!(atomics.modules[0].module.features, Some(vec![Feature::Threads]));
    // A byte that looks like an atomic instruction and is a number.
    let number = "(module (memory 1 1 shared) (func (drop (i32.const -2))))";
    let number = bare(&wat::parse_str(number).unwrap());
    assert_eq!(number.modules[0].module.features, Some(vec![Feature::SharedMemory]));

    let cut = bare(&command_module()[..500]);
    assert!(matches!(cut.findings[0].problem, Problem::Module(_)) && cut.modules.is_empty());
    let folder = temp();
    let text = write(folder.path(), "x.wat", b"(module)");
    assert!(matches!(inspect(&text, &Limits::default()), Err(InspectError::NotTar(_))));
    assert!(stderr(&wasm_image(&["inspect", text.to_str().unwrap()])).contains("WebAssembly"));
    let large = write(folder.path(), "x.wasm", &command_module());
    let report = inspect(&large, &Limits { module: 100, ..Limits::default() }).unwrap();
    assert!(matches!(report.findings[0].problem, Problem::TooMany { what: "bytes of a module", .. }));
}

#[test]
fn native_code_beside_the_portable_one() {
    let with = |head: &str| {
        let text = format!(
            r#"(module (memory (export "memory") 1) (func (export "_start")) (@custom "wasmedge" "{head}"))"#
        );
        bare(&wat::parse_str(text).unwrap()).modules.remove(0)
    };
    let amd64 = with("\\01\\01\\01and the code");
    let aot = &amd64.module.aot[0];
    assert_eq!(
        (aot.version, aot.os, aot.architecture, aot.size),
        (Some(1), Some("linux"), Some("amd64"), 15)
    );
    assert_eq!(
        amd64.engines[0].reasons,
        ["its native code runs on linux/amd64; elsewhere it is interpreted"]
    );
    assert!(amd64.engines[6].reasons.is_empty());
    let newer = with("\\02\\01\\02");
    assert!(newer.engines[0].reasons[0].contains("another engine"));
    assert!(newer.to_string().contains("native code for linux/arm64, 3 bytes, for WasmEdge 0.15 to 0.17"));
    let broken = with("\\ff");
    assert_eq!((broken.module.aot[0].version, broken.engines[0].answer), (None, Answer::Takes));
}

#[test]
fn names_of_strangers_stay_on_their_lines() {
    let text = r#"(module (import "a\1b[31m" "b\0a\1b" (func)) (func (export "\u{202e}c") )
        (@custom "d\07" "") (@custom "producers" "\01\03\1b[m\01\03\0ae\0d\011"))"#;
    let folder = temp();
    let path = write(folder.path(), "x.wasm", &wat::parse_str(text).unwrap());
    let ran = wasm_image(&["inspect", path.to_str().unwrap()]);
    assert!(!stdout(&ran).contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']), "{}", stdout(&ran));
    let text = format!("(module {})", r#"(import "a" "b" (func))"#.repeat(10_100));
    let many = bare(&wat::parse_str(text).unwrap()).modules.remove(0);
    assert_eq!((many.module.imports["a"].len(), many.module.left_off), (10_000, 100));
    assert!(
        many.to_string().contains("and 9940 more") && many.to_string().contains("100 more are not listed")
    );
}

#[test]
fn several_images_with_several_modules() {
    let mut layout = ByHand::new();
    for name in ["one", "two", "one"] {
        let module = wat::parse_str(format!(r#"(module (func (export "{name}")))"#)).unwrap();
        let layer = layout.put(spec::MEDIA_RUNWASI_LAYER, &module);
        let run = json!({ "Entrypoint": [format!("{name}.wasm")] });
        let manifest = layout.manifest(&layout.config(&run, &[]), &[layer]);
        layout.name(manifest, Some(name), Some("wasip1/wasm"));
    }
    let report = inspect(&layout.path(), &Limits::default()).unwrap();
    let exports: Vec<_> = report.modules.iter().map(|found| found.module.exports[0].name.as_str()).collect();
    assert_eq!(exports, ["one", "two"]);
}
