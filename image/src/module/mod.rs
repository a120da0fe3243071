//! What a WebAssembly module is: validated, with its imports, and whether it is a WASI command.
//! Reads a stream section by section, so that a large module is never in memory whole.

pub(crate) mod sections;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use wasmparser::{Chunk, CompositeInnerType, ExternalKind, Parser, Payload, ValidPayload, Validator};

use crate::spec;

/// The least that is read at once.
const MIN_READ: usize = 64 * 1024;
/// The most that is read at once. A section's announced length is not believed: only bytes that came take memory.
const MAX_READ: usize = 1024 * 1024;
/// What a core module begins with: magic and version 1.
/// <https://webassembly.github.io/spec/core/binary/modules.html#binary-module>
const CORE_HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";
/// What every WebAssembly binary begins with. Same source.
const MAGIC: &[u8] = b"\0asm";

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

/// Why a module is refused.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// Reading failed.
    #[error("cannot read the module")]
    Io(#[from] io::Error),
    /// The text format.
    #[error("this is WebAssembly in text form: translate it with wat2wasm first")]
    Text,
    /// Anything else.
    #[error("this is no WebAssembly module: it does not begin with \\0asm")]
    NotWasm,
    /// WASI 0.2 and later.
    #[error(
        "this is a WebAssembly component (WASI 0.2 or later), which crun with WasmEdge does not run: build for wasm32-wasip1, not wasm32-wasip2"
    )]
    Component,
    /// A version of the binary format that is none.
    #[error("this WebAssembly binary has version {0:#010x}; only version 1 of the core format is known")]
    Version(u32),
    /// Ends within one of its sections.
    #[error("the module is cut off: its section at byte {0} ends after the file")]
    CutOff(u64),
    /// More sections than any compiler writes.
    #[error("the module has more than {0} sections")]
    TooManySections(usize),
    /// wasmparser's verdict.
    #[error("the module is invalid or cut off")]
    Invalid(#[source] Box<wasmparser::BinaryReaderError>),
    /// Not a program.
    #[error("the module is no WASI command: {}", .0.reason())]
    NotCommand(CommandKind),
    /// Imports that WASI preview 1 does not provide.
    #[error("the module imports from {}, but a WASI command gets only {}", .0.join(", "), spec::WASI_MODULE)]
    ForeignImports(Vec<String>),
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
        let mut buffer = read_header(&mut input)?;
        let mut start = 0;
        let mut eof = false;
        let mut parser = Parser::new(0);
        let mut state = State::default();
        loop {
            let consumed = match parser.parse(&buffer[start..], eof).map_err(invalid)? {
                Chunk::NeedMoreData(hint) => {
                    buffer.drain(..start);
                    start = 0;
                    eof = fill(&mut input, &mut buffer, hint)?;
                    continue;
                }
                Chunk::Parsed { payload, consumed } => {
                    if state.take(&payload)? {
                        state.summary.size += consumed as u64;
                        break;
                    }
                    consumed
                }
            };
            state.summary.size += consumed as u64;
            start += consumed;
        }
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
                self.summary.command = self.command(&types.as_ref());
                Ok(true)
            }
            ValidPayload::Ok | ValidPayload::Parser(_) => Ok(false),
        }
    }

    fn command(&self, types: &wasmparser::types::TypesRef<'_>) -> CommandKind {
        let Some(start) = self.start else { return CommandKind::NoStart };
        match &types[types.core_function_at(start)].composite_type.inner {
            CompositeInnerType::Func(ty) if ty.params().is_empty() && ty.results().is_empty() => {}
            _ => return CommandKind::OddStart,
        }
        if self.memory { CommandKind::Command } else { CommandKind::NoMemory }
    }
}

/// The first bytes, checked by hand: the commonest mistakes deserve a better message than "bad magic".
fn read_header(input: &mut impl Read) -> Result<Vec<u8>, ModuleError> {
    let mut header = Vec::with_capacity(MIN_READ);
    input.take(CORE_HEADER.len() as u64).read_to_end(&mut header)?;
    if header == CORE_HEADER {
        return Ok(header);
    }
    if !header.starts_with(MAGIC) {
        let text = header.trim_ascii_start();
        let is_text = text.starts_with(b"(") || text.starts_with(b";;");
        return Err(if is_text { ModuleError::Text } else { ModuleError::NotWasm });
    }
    match header[MAGIC.len()..] {
        // The last two bytes are the layer: 1 is the component model.
        [_, _, 1, 0] => Err(ModuleError::Component),
        [a, b, c, d] => Err(ModuleError::Version(u32::from_le_bytes([a, b, c, d]))),
        _ => Err(ModuleError::NotWasm),
    }
}

/// Appends what the parser asked for, within bounds; true when the input has ended.
fn fill(input: &mut impl Read, buffer: &mut Vec<u8>, hint: usize) -> Result<bool, ModuleError> {
    let wanted = hint.clamp(MIN_READ, MAX_READ) as u64;
    Ok((input.take(wanted).read_to_end(buffer)? as u64) < wanted)
}

fn invalid(error: wasmparser::BinaryReaderError) -> ModuleError {
    ModuleError::Invalid(Box::new(error))
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
            "x".repeat(3 * MAX_READ)
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
