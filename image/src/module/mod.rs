//! What a WebAssembly binary is. `summary` is what a build asks; `report` is all that an inspection tells.

mod aot;
mod features;
mod parts;
mod portable;
mod report;
pub(crate) mod sections;
mod stream;
mod summary;
mod text;

use std::io;

pub use aot::AotSection;
pub use features::Feature;
pub use parts::{CustomSection, Export, ExternKind, Import, Memory, Table};
pub use report::ModuleReport;
pub use sections::BinaryKind;
pub use summary::{CommandKind, ModuleSummary};

use crate::spec;

/// What a core module begins with: magic and version 1.
/// <https://webassembly.github.io/spec/core/binary/modules.html#binary-module>
const CORE_HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";
/// What every WebAssembly binary begins with. Same source.
pub(crate) const MAGIC: &[u8] = b"\0asm";

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
