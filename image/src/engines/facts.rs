//! The table of facts about engines: what each takes as it is set up by default. Every cell was tried with the engine
//! itself or read from its source, as said beside it; what was neither stands as unknown and is never guessed.
//! `tests/it/engines.rs` holds the columns of WasmEdge and wasmtime against the real ones.

use super::Support;
use crate::module::Feature;

/// What runs the module's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Core {
    /// 0.14.1, as Debian 13 has it and as wasmedge-sdk 0.14 links it. Tried.
    WasmEdge014,
    /// 36, in runwasi's shim. Tried.
    Wasmtime36,
    /// 46, in youki. Tried.
    Wasmtime46,
    /// 50. Tried.
    Wasmtime50,
    /// 6.0, in runwasi's shim. Read: `Features::default` and `Compiler::validate_module` of wasmer-types and
    /// wasmer-compiler 6.0.1, <https://docs.rs/wasmer-types/6.0.1>
    Wasmer6,
}

/// A core's column of the table. What is in neither list is off.
struct Column {
    on: &'static [Feature],
    unknown: &'static [Feature],
}

/// What every core has. For WasmEdge: `Configure` in
/// <https://github.com/WasmEdge/WasmEdge/blob/0.14.1/include/common/configure.h>, and neither crun nor wasmedge-sdk
/// switches anything else on.
const COMMON: &[Feature] = &[
    Feature::MutableGlobals,
    Feature::SignExtension,
    Feature::NontrappingFptoint,
    Feature::MultiValue,
    Feature::BulkMemory,
    Feature::ReferenceTypes,
    Feature::Simd,
];

/// What wasmtime has besides. `Config::features` in
/// <https://github.com/bytecodealliance/wasmtime/blob/v36.0.6/crates/wasmtime/src/config.rs>
const WASMTIME: &[Feature] = &[
    Feature::RelaxedSimd,
    Feature::Threads,
    Feature::TailCall,
    Feature::ExtendedConst,
    Feature::MultiMemory,
    Feature::Memory64,
];

/// No module that has nothing else to it was at hand.
const UNTRIED: &[Feature] = &[Feature::CompactImports];

impl Core {
    /// Whether a module that needs `feature` is taken.
    pub(super) fn supports(self, feature: Feature) -> Support {
        let Column { on, unknown } = self.column();
        if unknown.contains(&feature) {
            Support::Unknown
        } else if COMMON.contains(&feature) || on.contains(&feature) || self.has_besides(feature) {
            Support::Yes
        } else {
            Support::No
        }
    }

    fn column(self) -> Column {
        match self {
            // It loads a shared memory, but none of the instructions for one.
            Self::WasmEdge014 => Column { on: &[Feature::SharedMemory], unknown: UNTRIED },
            Self::Wasmtime36 => Column { on: &[Feature::SharedMemory], unknown: UNTRIED },
            Self::Wasmtime46 => Column { on: &[], unknown: UNTRIED },
            Self::Wasmtime50 => Column {
                on: &[Feature::Exceptions, Feature::FunctionReferences, Feature::Gc, Feature::WideArithmetic],
                unknown: UNTRIED,
            },
            Self::Wasmer6 => Column { on: &[Feature::Threads, Feature::SharedMemory], unknown: UNTRIED },
        }
    }

    fn has_besides(self, feature: Feature) -> bool {
        self.is_wasmtime() && WASMTIME.contains(&feature)
    }

    pub(super) fn is_wasmtime(self) -> bool {
        matches!(self, Self::Wasmtime36 | Self::Wasmtime46 | Self::Wasmtime50)
    }
}
