//! Which engines take a module, and an image of it, and why not. `facts` is the table, `images` knows what each runtime
//! does with the forms of images, and `judge` holds both against a module.

mod facts;
mod images;
mod judge;

use std::fmt;

pub use images::ImageFacts;

use crate::module::{Feature, ModuleReport};
use facts::Core;

/// What runs modules, at the version that the table of facts is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// crun with WasmEdge 0.14, as on Debian 13.
    CrunWasmedge,
    /// youki, built with WasmEdge.
    YoukiWasmedge,
    /// youki, built with wasmtime.
    YoukiWasmtime,
    /// runwasi's shim of wasmtime.
    RunwasiWasmtime,
    /// runwasi's shim of WasmEdge.
    RunwasiWasmedge,
    /// runwasi's shim of wasmer.
    RunwasiWasmer,
    /// The command `wasmtime run`.
    Wasmtime,
}

/// A cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It is there by default.
    Yes,
    /// It is not, or has to be switched on.
    No,
    /// Nobody looked.
    Unknown,
}

/// Whether an engine takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Yes, perhaps on a condition.
    Takes,
    /// It cannot be said.
    Unknown,
    /// No.
    Refuses,
}

/// What an engine will do, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// Who.
    pub engine: Engine,
    /// What.
    pub answer: Answer,
    /// Why it refuses or why it cannot be said; or on which conditions it takes it.
    pub reasons: Vec<String>,
}

impl Engine {
    /// All that the table knows.
    pub const ALL: [Self; 7] = [
        Self::CrunWasmedge,
        Self::YoukiWasmedge,
        Self::YoukiWasmtime,
        Self::RunwasiWasmtime,
        Self::RunwasiWasmedge,
        Self::RunwasiWasmer,
        Self::Wasmtime,
    ];

    /// The name with the version that the facts are about.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CrunWasmedge => "crun + WasmEdge 0.14",
            Self::YoukiWasmedge => "youki + WasmEdge 0.14",
            Self::YoukiWasmtime => "youki + wasmtime 46",
            Self::RunwasiWasmtime => "runwasi, wasmtime 36",
            Self::RunwasiWasmedge => "runwasi, WasmEdge 0.14",
            Self::RunwasiWasmer => "runwasi, wasmer 6",
            Self::Wasmtime => "wasmtime 50",
        }
    }

    /// Whether a module that needs `feature` is taken as the engine is set up by default.
    pub fn supports(self, feature: Feature) -> Support {
        self.core().supports(feature)
    }

    fn core(self) -> Core {
        match self {
            Self::CrunWasmedge | Self::YoukiWasmedge | Self::RunwasiWasmedge => Core::WasmEdge014,
            Self::YoukiWasmtime => Core::Wasmtime46,
            Self::RunwasiWasmtime => Core::Wasmtime36,
            Self::RunwasiWasmer => Core::Wasmer6,
            Self::Wasmtime => Core::Wasmtime50,
        }
    }

    /// Components: runwasi's wasmtime shim and wasmtime itself have the component model on; youki calls
    /// `Module::from_file`, WasmEdge 0.14 has it off, wasmer 6 lacks it. Same sources as the table.
    fn takes_components(self) -> bool {
        matches!(self, Self::RunwasiWasmtime | Self::Wasmtime)
    }
}

/// What each engine will do with the module; and with the image that holds it, if it is in one.
pub fn verdicts(module: &ModuleReport, image: Option<&ImageFacts>) -> Vec<Verdict> {
    Engine::ALL.iter().map(|engine| judge::verdict(*engine, module, image)).collect()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.answer {
            Answer::Takes => "takes it",
            Answer::Unknown => "unknown",
            Answer::Refuses => "refuses",
        })?;
        if self.reasons.is_empty() { Ok(()) } else { write!(f, ": {}", self.reasons.join("; ")) }
    }
}
