//! The table of facts, held against the real engines: WasmEdge by its command line (WASMEDGE=path, as `make test` gives
//! it; REQUIRE_WASM=1 makes its absence a failure), wasmtime by its Python package (WASMTIME_PYTHON=path of a Python that
//! has it, of a version that the table knows).

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

use wasm_image::{Engine, Feature, Support};

use crate::foreign::skip;
use crate::support::{temp, write};

/// Each feature's smallest module that can be run.
fn smallest(feature: Feature) -> Option<Vec<u8>> {
    let start = |body: &str| format!(r#"(func (export "_start") {body})"#);
    let fields = match feature {
        Feature::MutableGlobals => {
            format!(r#"(global (export "g") (mut i32) (i32.const 0)) {}"#, start(""))
        }
        Feature::SignExtension => start("(drop (i32.extend8_s (i32.const 1)))"),
        Feature::NontrappingFptoint => start("(drop (i32.trunc_sat_f32_s (f32.const 1)))"),
        Feature::MultiValue => {
            format!("(func $f (result i32 i32) (i32.const 1) (i32.const 2)) {}", start("(call $f) drop drop"))
        }
        Feature::BulkMemory => {
            format!("(memory 1) {}", start("(memory.fill (i32.const 0) (i32.const 0) (i32.const 1))"))
        }
        Feature::ReferenceTypes => format!("(table 1 externref) {}", start("(drop (table.size 0))")),
        Feature::Simd => start("(drop (v128.const i32x4 0 0 0 0))"),
        Feature::RelaxedSimd => {
            let zero = "(v128.const i32x4 0 0 0 0)";
            start(&format!("(drop (i8x16.relaxed_swizzle {zero} {zero}))"))
        }
        Feature::Threads => format!("(memory 1 1) {}", start("(drop (i32.atomic.load (i32.const 0)))")),
        Feature::SharedMemory => format!("(memory 1 1 shared) {}", start("")),
        Feature::TailCall => format!("(func $f) {}", start("(return_call $f)")),
        Feature::ExtendedConst => {
            format!("(global i32 (i32.add (i32.const 1) (i32.const 2))) {}", start(""))
        }
        Feature::MultiMemory => format!("(memory 1) (memory 1) {}", start("")),
        Feature::Memory64 => format!("(memory i64 1) {}", start("")),
        Feature::Exceptions => format!("(tag $e) {}", start("(block $h (try_table (catch_all $h)))")),
        // In binary: the text form of today does not write it.
        Feature::LegacyExceptions => {
            let (types, functions) = ([1, 4, 1, 0x60, 0, 0], [3, 2, 1, 0]);
            let exports = [&[7, 10, 1, 6][..], b"_start", &[0, 0]].concat();
            let code = [10, 8, 1, 6, 0, 0x06, 0x40, 0x19, 0x0b, 0x0b];
            let sections = [&b"\0asm\x01\0\0\0"[..], &types, &functions, &exports, &code];
            return Some(sections.concat());
        }
        Feature::FunctionReferences => {
            let elem = "(type $t (func)) (elem declare func $f) (func $f)";
            format!("{elem} {}", start("(call_ref $t (ref.func $f))"))
        }
        Feature::Gc => {
            format!("(type $s (struct (field i32))) {}", start("(drop (struct.new $s (i32.const 1)))"))
        }
        Feature::WideArithmetic => {
            start("(i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)) drop drop")
        }
        Feature::CustomPageSizes => format!("(memory 1 (pagesize 1)) {}", start("")),
        Feature::CompactImports => return None,
    };
    Some(wat::parse_str(format!("(module {fields})")).unwrap())
}

/// Holds a column against what `run` does with each feature's smallest module.
fn hold(engine: Engine, run: impl Fn(&Path) -> Output) {
    let folder = temp();
    for feature in Feature::all() {
        let (said, module) = (engine.supports(feature), smallest(feature));
        // What could not be tried is what the table does not claim to know.
        assert_eq!(said == Support::Unknown, module.is_none(), "{feature}");
        let Some(module) = module else { continue };
        let ran = run(&write(folder.path(), &format!("{feature}.wasm"), &module));
        let taken = if ran.status.success() { Support::Yes } else { Support::No };
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert_eq!(taken, said, "{engine:?} {feature}: {out}{err}");
    }
}

fn wasmedge() -> Option<OsString> {
    let found = env::var_os("WASMEDGE");
    if found.is_none() {
        assert!(env::var_os("REQUIRE_WASM").is_none(), "WASMEDGE has to be set");
        skip("WASMEDGE is not set, so nothing was tested with it");
    }
    found
}

#[test]
fn wasmedges_column_is_what_it_does() {
    let Some(wasmedge) = wasmedge() else { return };
    let version = Command::new(&wasmedge).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if !version.contains("0.14.") {
        skip(&format!("the table knows WasmEdge 0.14, not {version}"));
        return;
    }
    hold(Engine::CrunWasmedge, |module| Command::new(&wasmedge).arg(module).output().unwrap());
    // What it has besides WASI's own functions, and what not.
    let folder = temp();
    let import = |name: &str, params: &str| {
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "{name}" (func {params})) (func (export "_start")))"#
        );
        let module = write(folder.path(), "import.wasm", &wat::parse_str(text).unwrap());
        Command::new(&wasmedge).arg(module).output().unwrap().status.success()
    };
    assert!(import("sock_open", "(param i32 i32 i32) (result i32)"));
    assert!(import("proc_exit", "(param i32)"));
    assert!(!import("no_such_function", ""));
}

#[test]
fn wasmtimes_column_is_what_it_does() {
    let Some(python) = env::var_os("WASMTIME_PYTHON") else {
        return skip("WASMTIME_PYTHON is not set, so nothing was tested with wasmtime");
    };
    let run = |script: &str, module: &Path| {
        Command::new(&python).args(["-c", script]).arg(module).output().unwrap()
    };
    let version = run("import importlib.metadata as m; print(m.version('wasmtime'))", Path::new(""));
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let engine = match version.split('.').next() {
        Some("36") => Engine::RunwasiWasmtime,
        Some("46") => Engine::YoukiWasmtime,
        Some("50") => Engine::Wasmtime,
        _ => panic!("the table knows wasmtime 36, 46 and 50, not {version:?}"),
    };
    let script = "\
import sys, wasmtime
engine = wasmtime.Engine()
store = wasmtime.Store(engine)
module = wasmtime.Module(engine, open(sys.argv[1], 'rb').read())
wasmtime.Instance(store, module, []).exports(store)['_start'](store)";
    hold(engine, |module| run(script, module));
    // Every function that the crate takes for WASI's own is one of wasmtime's.
    let names = wasm_image::spec::WASI_FUNCTIONS.join(" ");
    let script = format!(
        "\
import wasmtime
linker = wasmtime.Linker(wasmtime.Engine())
linker.define_wasi()
store = wasmtime.Store(linker.engine)
store.set_wasi(wasmtime.WasiConfig())
for name in '{names}'.split():
    linker.get(store, 'wasi_snapshot_preview1', name)"
    );
    let ran = run(&script, Path::new(""));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
