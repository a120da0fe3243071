//! What a build asks of a module: that it is valid, its imports, and whether it is a WASI command.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use wasmparser::{CompositeInnerType, ExternalKind, Payload, ValidPayload, Validator, WasmFeatures};

use super::stream::invalid;
use super::{ModuleError, stream};
use crate::spec;

/// What was learnt from a module by reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ModuleSummary {
    /// Length in bytes.
    pub size: u64,
    /// The imported names by module.
    pub imports: BTreeMap<String, BTreeSet<String>>,
    /// The exported names.
    pub exports: BTreeSet<String>,
    /// Whether a WASI host can run it as a program.
    pub command: CommandKind,
}

/// Whether a module is a WASI command, and if not, why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandKind {
    /// Exports `_start` and `memory`.
    Command,
    /// Exports no function `_start`.
    #[default]
    NoStart,
    /// Its `_start` takes parameters or returns something.
    OddStart,
    /// Exports no `memory`.
    NoMemory,
}

impl CommandKind {
    /// One line for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Command => "it exports _start and memory",
            Self::NoStart => {
                "it exports no function _start (a library or reactor? a program's main is exported as _start)"
            }
            Self::OddStart => "its _start has parameters or results",
            Self::NoMemory => "it exports no memory named memory",
        }
    }
}

impl ModuleSummary {
    /// Reads and validates a module to its end.
    pub fn read(mut input: impl Read) -> Result<Self, ModuleError> {
        let mut state = State::default();
        state.summary.size =
            stream::read(&mut input, WasmFeatures::default(), |payload| state.take(payload))?;
        Ok(state.summary)
    }

    /// The imported modules that WASI preview 1 does not provide.
    pub fn foreign_imports(&self) -> Vec<String> {
        self.imports.keys().filter(|module| *module != spec::WASI_MODULE).cloned().collect()
    }

    /// An error unless this is a WASI command.
    pub fn require_command(&self) -> Result<(), ModuleError> {
        match self.command {
            CommandKind::Command => Ok(()),
            kind => Err(ModuleError::NotCommand(kind)),
        }
    }

    /// An error unless all imports are WASI preview 1's.
    pub fn require_wasi_imports(&self) -> Result<(), ModuleError> {
        match self.foreign_imports() {
            foreign if foreign.is_empty() => Ok(()),
            foreign => Err(ModuleError::ForeignImports(foreign)),
        }
    }
}

/// The validation in progress.
#[derive(Default)]
struct State {
    validator: Validator,
    allocations: wasmparser::FuncValidatorAllocations,
    summary: ModuleSummary,
    start: Option<u32>,
    memory: bool,
}

impl State {
    /// Takes one piece of the module; true at its end.
    fn take(&mut self, payload: &Payload<'_>) -> Result<bool, ModuleError> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    let import = import.map_err(invalid)?;
                    let names = self.summary.imports.entry(import.module.to_owned()).or_default();
                    names.insert(import.name.to_owned());
                }
            }
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    let export = export.map_err(invalid)?;
                    match (export.name, export.kind) {
                        (spec::WASI_START, ExternalKind::Func) => self.start = Some(export.index),
                        (spec::WASI_MEMORY, ExternalKind::Memory) => self.memory = true,
                        _ => {}
                    }
                    self.summary.exports.insert(export.name.to_owned());
                }
            }
            _ => {}
        }
        match self.validator.payload(payload).map_err(invalid)? {
            ValidPayload::Func(function, body) => {
                let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
                validator.validate(&body).map_err(invalid)?;
                self.allocations = validator.into_allocations();
                Ok(false)
            }
            ValidPayload::End(types) => {
                self.summary.command = CommandKind::of(self.start, self.memory, &types.as_ref());
                Ok(true)
            }
            ValidPayload::Ok | ValidPayload::Parser(_) => Ok(false),
        }
    }
}

impl CommandKind {
    /// What a module is whose exported function `_start`, if it has one, is the one of this index.
    pub(super) fn of(start: Option<u32>, memory: bool, types: &wasmparser::types::TypesRef<'_>) -> Self {
        let Some(start) = start else { return Self::NoStart };
        match &types[types.core_function_at(start)].composite_type.inner {
            CompositeInnerType::Func(ty) if ty.params().is_empty() && ty.results().is_empty() => {}
            _ => return Self::OddStart,
        }
        if memory { Self::Command } else { Self::NoMemory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ModuleSummary, ModuleError> {
        ModuleSummary::read(wat::parse_str(text).unwrap().as_slice())
    }

    #[test]
    fn a_command() {
        let bytes = wat::parse_str(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
                (memory (export "memory") 1) (func (export "_start") (call 0 (i32.const 0))))"#,
        )
        .unwrap();
        let summary = ModuleSummary::read(bytes.as_slice()).unwrap();
        assert_eq!(summary.size, bytes.len() as u64);
        assert_eq!(summary.command, CommandKind::Command);
        assert!(summary.foreign_imports().is_empty());
        assert!(summary.imports[spec::WASI_MODULE].contains("proc_exit"));
    }

    #[test]
    fn kinds_of_other_modules() {
        for (text, kind) in [
            ("(module)", CommandKind::NoStart),
            (r#"(module (memory (export "_start") 1))"#, CommandKind::NoStart),
            (r#"(module (func (export "_start")))"#, CommandKind::NoMemory),
            (
                r#"(module (memory (export "memory") 1) (func (export "_start") (param i32)))"#,
                CommandKind::OddStart,
            ),
        ] {
            assert_eq!(read(text).unwrap().command, kind, "{text}");
        }
    }

    #[test]
    fn sections_larger_than_the_buffer() {
        let text = format!(
            r#"(module (memory (export "memory") 99) (func (export "_start")) (data (i32.const 0) "{}"))"#,
            "x".repeat(3 * stream::MAX_READ)
        );
        assert_eq!(read(&text).unwrap().command, CommandKind::Command);
    }

    #[test]
    fn refuses_other_files() {
        assert!(matches!(ModuleSummary::read(&b"(module)"[..]), Err(ModuleError::Text)));
        assert!(matches!(ModuleSummary::read(&b"\x7fELF...."[..]), Err(ModuleError::NotWasm)));
        assert!(matches!(ModuleSummary::read(&b""[..]), Err(ModuleError::NotWasm)));
        assert!(matches!(ModuleSummary::read(&b"\0asm\x0d\0\x01\0"[..]), Err(ModuleError::Component)));
        assert!(matches!(ModuleSummary::read(&b"\0asm\x02\0\0\0"[..]), Err(ModuleError::Version(2))));
    }

    #[test]
    fn every_cut_is_an_error_or_a_whole_module() {
        let bytes =
            wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
        for end in 0..bytes.len() {
            // A cut between two sections leaves a module that lacks what follows; anything else is an error.
            if let Ok(summary) = ModuleSummary::read(&bytes[..end]) {
                assert_ne!(summary.command, CommandKind::Command, "cut at {end}");
            }
        }
    }
}
