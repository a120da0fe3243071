//! Running modules and compiling them ahead of time, on WasmEdge as a library.
//!
//! What a person may say ([`RunPlan`], [`Volume`], limits) and what comes of it ([`Ending`]) is always here; what needs
//! the engine, `run` and `compile`, only with the feature `wasmedge`. A module runs in a process of its own: the parent
//! prepares a root folder for it and ends it when its time is over; the child enters the root and becomes the engine.

mod ending;
mod limits;
mod version;
mod volume;

pub use ending::Ending;
pub use limits::{ByteSize, LimitError, TimeLimit};
pub use version::EngineVersion;
pub use volume::{Access, GuestPath, Volume, VolumeError};

#[cfg(feature = "wasmedge")]
mod child;
#[cfg(feature = "wasmedge")]
mod compile;
#[cfg(feature = "wasmedge")]
mod error;
#[cfg(feature = "wasmedge")]
mod guest;
#[cfg(feature = "wasmedge")]
mod image;
#[cfg(feature = "wasmedge")]
mod run;
#[cfg(feature = "wasmedge")]
mod supervise;
#[cfg(feature = "wasmedge")]
mod unpack;
#[cfg(feature = "wasmedge")]
mod wall;

#[cfg(feature = "wasmedge")]
pub use child::{CHILD_COMMAND, child};
#[cfg(feature = "wasmedge")]
pub use compile::{CompileError, Cpu, Optimization, Scratch, compile, portable_recipe};
#[cfg(feature = "wasmedge")]
pub use error::RunError;
#[cfg(feature = "wasmedge")]
pub use run::run;

use std::path::PathBuf;

use crate::platform::Platform;
use crate::settings::KeyValue;

/// Whether native code in a module is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NativeCode {
    /// Never: the portable part of the module is interpreted.
    #[default]
    Ignored,
    /// Yes, unchecked, as crun does.
    Trusted,
}

/// Whether the module gets a root of its own in the kernel's eyes, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Namespaces {
    /// Where the kernel allows it.
    #[default]
    IfPossible,
    /// No: the engine's own checks are then all there is.
    Never,
}

/// All that can be said about a run. Without `Debug`, for the environment may hold secrets.
#[derive(Clone)]
pub struct RunPlan {
    /// A module, an image layout or an oci-archive.
    pub source: PathBuf,
    /// Which of an image's platforms; `None` takes this machine's, else `wasi/wasm`.
    pub platform: Option<Platform>,
    /// In place of the image's default arguments, unless empty.
    pub args: Vec<String>,
    /// Added to the image's environment; a later one wins.
    pub env: Vec<KeyValue>,
    /// What of this machine the module sees besides its root.
    pub volumes: Vec<Volume>,
    /// After which it is ended.
    pub time_limit: Option<TimeLimit>,
    /// How much memory it may have.
    pub memory_limit: Option<ByteSize>,
    /// Whether compiled code in it is run.
    pub native_code: NativeCode,
    /// How it is walled in.
    pub namespaces: Namespaces,
}
