//! What an engine does with one module, reason by reason; the worst one counts.

use super::facts::Core;
use super::{Answer, Engine, ImageFacts, Support, Verdict, images};
use crate::module::{BinaryKind, CommandKind, ModuleReport};
use crate::print::Clean;
use crate::spec;

pub(super) fn verdict(engine: Engine, module: &ModuleReport, image: Option<&ImageFacts>) -> Verdict {
    let mut judge = Judge::default();
    if let Some(image) = image {
        images::judge(engine, image, &mut judge);
    }
    match (module.kind, &module.invalid) {
        (BinaryKind::Component, _) if engine.takes_components() => {}
        (BinaryKind::Component, _) => judge.refuse("it runs no components"),
        (BinaryKind::Module, Some(_)) => judge.refuse("the module is not valid"),
        (BinaryKind::Module, None) => {
            judge_features(engine, module, &mut judge);
            judge_imports(engine, module, &mut judge);
            judge_command(engine, module, image, &mut judge);
            judge_aot(engine, module, &mut judge);
            judge_folders(engine, module, &mut judge);
        }
    }
    // Conditions of what is refused anyway help no one.
    let reasons = judge.said.into_iter().filter(|(answer, _)| *answer == judge.answer);
    Verdict { engine, answer: judge.answer, reasons: reasons.map(|(_, reason)| reason).collect() }
}

/// youki preopens nothing: `WasiModule::create` without preopens, `WasiCtxBuilder` without a folder. Same sources as in
/// `images`.
fn judge_folders(engine: Engine, module: &ModuleReport, judge: &mut Judge) {
    let opens = module.imports.get(spec::WASI_MODULE).into_iter().flatten();
    let opens = opens.into_iter().any(|import| import.name == "path_open");
    if opens && matches!(engine, Engine::YoukiWasmedge | Engine::YoukiWasmtime) {
        judge.condition("the module sees no files there, for no folder is opened for it");
    }
}

/// Collects reasons; the worst counts.
pub(super) struct Judge {
    pub answer: Answer,
    said: Vec<(Answer, String)>,
}

impl Default for Judge {
    fn default() -> Self {
        Self { answer: Answer::Takes, said: Vec::new() }
    }
}

impl Judge {
    fn say(&mut self, answer: Answer, reason: impl Into<String>) {
        self.answer = self.answer.max(answer);
        self.said.push((answer, reason.into()));
    }

    pub(super) fn condition(&mut self, reason: impl Into<String>) {
        self.say(Answer::Takes, reason);
    }

    pub(super) fn doubt(&mut self, reason: impl Into<String>) {
        self.say(Answer::Unknown, reason);
    }

    pub(super) fn refuse(&mut self, reason: impl Into<String>) {
        self.say(Answer::Refuses, reason);
    }
}

fn judge_features(engine: Engine, module: &ModuleReport, judge: &mut Judge) {
    let needed = module.features.as_deref().unwrap_or_default();
    let lacking = |support: Support| {
        let words: Vec<_> = needed
            .iter()
            .filter(|feature| engine.supports(**feature) == support)
            .map(ToString::to_string)
            .collect();
        (!words.is_empty()).then(|| words.join(", "))
    };
    if let Some(words) = lacking(Support::No) {
        judge.refuse(format!("it has not by default: {words}"));
    }
    if let Some(words) = lacking(Support::Unknown) {
        judge.doubt(format!("it was not tried with: {words}"));
    }
}

fn judge_imports(engine: Engine, module: &ModuleReport, judge: &mut Judge) {
    let core = engine.core();
    for (from, imports) in &module.imports {
        if from == spec::WASI_MODULE {
            let is_there = |name: &str| {
                spec::WASI_FUNCTIONS.contains(&name)
                    || (core == Core::WasmEdge014 && spec::WASMEDGE_FUNCTIONS.contains(&name))
            };
            let lacking: Vec<_> =
                imports.iter().map(|import| import.name.as_str()).filter(|name| !is_there(name)).collect();
            let Some(first) = lacking.first() else { continue };
            let more = lacking.len() - 1;
            let names =
                if more > 0 { format!("{} and {more} more", Clean(first)) } else { Clean(first).to_string() };
            // wasmer-wasix was not looked through for functions beyond WASI's own.
            match core {
                Core::Wasmer6 => judge.doubt(format!("it may lack the import {names}")),
                _ => judge.refuse(format!("its WASI has no {names}")),
            }
        } else if core == Core::WasmEdge014 {
            judge.doubt(format!("imports from {} would need a plug-in", Clean(from)));
        } else if from.starts_with("wasi") {
            // wasi_unstable, wasi_snapshot_preview0, wasi_ephemeral_nn: some are there, some behind an option.
            judge.doubt(format!("it may provide {} or not", Clean(from)));
        } else {
            judge.refuse(format!("nothing provides imports from {}", Clean(from)));
        }
    }
}

fn judge_command(engine: Engine, module: &ModuleReport, image: Option<&ImageFacts>, judge: &mut Judge) {
    let of_shim = matches!(engine, Engine::RunwasiWasmtime | Engine::RunwasiWasmedge | Engine::RunwasiWasmer);
    match module.command {
        // runwasi calls the function that the entry point names after a '#'.
        Some(CommandKind::NoStart) if of_shim && image.is_some_and(ImageFacts::names_a_function) => {
            judge.doubt("it calls the function that the entry point names after #, which was not looked for");
        }
        Some(CommandKind::NoStart | CommandKind::OddStart) if engine == Engine::Wasmtime => {
            judge.doubt("there is no _start to run; a function can be named with --invoke");
        }
        Some(CommandKind::NoStart) => judge.refuse("there is no function _start to run"),
        Some(CommandKind::OddStart) => judge.refuse("its _start has parameters or results"),
        Some(CommandKind::NoMemory) if module.imports.contains_key(spec::WASI_MODULE) => {
            judge.doubt("it exports no memory, without which most of WASI's functions fail");
        }
        Some(CommandKind::NoMemory | CommandKind::Command) | None => {}
    }
}

/// WasmEdge takes native code of its own version and machine, of several the last, and else interprets the module; the
/// others never look at it. `Loader::loadModuleAOT` in
/// <https://github.com/WasmEdge/WasmEdge/blob/0.14.1/lib/loader/ast/module.cpp>
fn judge_aot(engine: Engine, module: &ModuleReport, judge: &mut Judge) {
    const VERSION: Option<u32> = Some(1);
    if engine.core() != Core::WasmEdge014 || module.aot.is_empty() {
        return;
    }
    let fitting = module.aot.iter().rev().filter(|aot| aot.version == VERSION && aot.os == Some("linux"));
    let machines: Vec<_> = fitting.filter_map(|aot| aot.architecture).collect();
    if machines.is_empty() {
        judge.condition("its native code is for another engine, so that it is interpreted");
    } else {
        let machines = machines.join(" and ");
        judge.condition(format!("its native code runs on linux/{machines}; elsewhere it is interpreted"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn answer(engine: Engine, text: &str) -> (Answer, String) {
        let bytes = wat::parse_str(text).unwrap();
        let module = ModuleReport::read(&mut Cursor::new(bytes)).unwrap();
        let verdict = verdict(engine, &module, None);
        (verdict.answer, verdict.reasons.join("; "))
    }

    #[test]
    fn plain_commands_are_taken_by_all() {
        let text = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (memory (export "memory") 1) (func (export "_start")))"#;
        for engine in Engine::ALL {
            assert_eq!(answer(engine, text), (Answer::Takes, String::new()), "{engine:?}");
        }
    }

    #[test]
    fn reasons_are_named() {
        let start = r#"(func (export "_start"))"#;
        let of = |engine, fields: &str| answer(engine, &format!("(module {fields} {start})"));
        let (refused, why) = of(Engine::CrunWasmedge, "(memory i64 1) (memory 1)");
        assert_eq!(
            (refused, why.as_str()),
            (Answer::Refuses, "it has not by default: multi-memory, memory64")
        );
        assert_eq!(of(Engine::Wasmtime, "(memory i64 1) (memory 1)").0, Answer::Takes);
        let shared = "(memory 1 1 shared)";
        let takes = Engine::ALL.map(|engine| of(engine, shared).0 == Answer::Takes);
        assert_eq!(takes, [true, true, false, true, true, true, false]);
        let socket = r#"(import "wasi_snapshot_preview1" "sock_open" (func)) (memory (export "memory") 1)"#;
        assert_eq!(of(Engine::CrunWasmedge, socket).0, Answer::Takes);
        assert_eq!(
            of(Engine::RunwasiWasmtime, socket),
            (Answer::Refuses, "its WASI has no sock_open".to_owned())
        );
        assert_eq!(of(Engine::RunwasiWasmer, socket).0, Answer::Unknown);
        let files = r#"(import "wasi_snapshot_preview1" "path_open" (func)) (memory (export "memory") 1)"#;
        assert!(of(Engine::YoukiWasmtime, files).1.contains("no files"));
        assert_eq!(of(Engine::RunwasiWasmtime, files), (Answer::Takes, String::new()));
        let env = r#"(import "env" "f" (func))"#;
        assert_eq!(of(Engine::CrunWasmedge, env).0, Answer::Unknown);
        assert_eq!(of(Engine::YoukiWasmtime, env).0, Answer::Refuses);
        assert_eq!(answer(Engine::CrunWasmedge, "(module)").0, Answer::Refuses);
        assert_eq!(answer(Engine::Wasmtime, "(module)").0, Answer::Unknown);
        assert_eq!(answer(Engine::YoukiWasmtime, "(component)").0, Answer::Refuses);
        assert_eq!(answer(Engine::RunwasiWasmtime, "(component)").0, Answer::Takes);
        // A reason that refuses leaves no room for doubts.
        assert_eq!(
            of(Engine::CrunWasmedge, &format!("{env} (memory 1) (memory 1)")).1.matches(';').count(),
            0
        );
    }
}
