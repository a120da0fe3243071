//! Why a module could not be run, or not as it was asked for.

use std::io;
use std::path::PathBuf;

use crate::inspect::InspectError;
use crate::module::ModuleError;

/// Why a module could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something of this machine failed us.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// Why not.
        source: io::Error,
    },
    /// It is no image.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// An image with something wrong in it.
    #[error("{path} is damaged ({problem}): wasm-image inspect {path} lists all that is wrong")]
    Unsound {
        /// The image.
        path: PathBuf,
        /// The first thing that is wrong.
        problem: String,
    },
    /// None, or several.
    #[error("{path} holds {count} images, not one")]
    HowMany {
        /// The layout or archive.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// Nothing for us in it.
    #[error("{path} has nothing for {wanted}; it is for {}: say which one with --platform", .found.join(", "))]
    Platform {
        /// The image.
        path: PathBuf,
        /// What was looked for.
        wanted: String,
        /// What there is.
        found: Vec<String>,
    },
    /// Nothing to start.
    #[error("the image names neither an entry point nor a command")]
    NoEntry,
    /// Something else than a module.
    #[error("the image's entry point {0:?} does not end in .wasm: crun would run it natively")]
    NativeEntry(String),
    /// A layer that cannot be read.
    #[error("a layer has the type {0:?}, which is not unpacked here: rebuild the image with gzip layers")]
    LayerType(String),
    /// A layer that must not be unpacked.
    #[error("cannot unpack the image: {0}")]
    Layer(String),
    /// The module is refused.
    #[error("cannot run {path}")]
    Module {
        /// In the image, or on this machine.
        path: String,
        /// Why not.
        source: ModuleError,
    },
    /// A volume that cannot be had.
    #[error("cannot make the volume {guest}: {reason}")]
    Volume {
        /// Its place.
        guest: String,
        /// Why not.
        reason: String,
    },
    /// A NUL where none can be.
    #[error("an argument or variable holds a NUL byte, which WASI cannot pass on")]
    Nul,
    /// The engine refused.
    #[error("the engine refuses the module: {0}")]
    Refused(String),
    /// The process with the engine in it said nothing.
    #[error("the process with the engine in it failed: {0}")]
    Child(String),
}

impl RunError {
    /// For `map_err`, with what was tried.
    pub(super) fn io<E: Into<io::Error>>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source: source.into() }
    }
}
