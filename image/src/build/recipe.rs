//! What an image's author can say about it.

use std::path::PathBuf;

use crate::platform::Platform;
use crate::reference::Reference;
use crate::settings::{EntryName, KeyValue, User};
use crate::timestamp::Timestamp;

/// What an image is made of.
#[derive(Clone, Debug)]
pub enum Contents {
    /// One WebAssembly module for all platforms.
    Module {
        /// Its file.
        path: PathBuf,
        /// Which imports it may have.
        imports: AllowedImports,
        /// The same module compiled ahead of time, for some platforms: these then get it, all others the portable one.
        compiled: Vec<CompiledModule>,
    },
    /// Static binaries, one per platform.
    Native(Vec<NativeBinary>),
}

/// Which modules a WebAssembly module may import from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllowedImports {
    /// Only WASI preview 1.
    #[default]
    Wasi,
    /// Any: the author knows a runtime that provides them.
    Any,
}

/// A module that was compiled ahead of time, and the platform that its code is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledModule {
    /// The platform.
    pub platform: Platform,
    /// Its file: the portable module with a section of code behind it.
    pub path: PathBuf,
    /// Which engine compiled it, and its version; `None` if nobody said.
    pub compiled_by: Option<String>,
}

/// A static binary and its platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeBinary {
    /// The platform; `None` takes the one that the ELF header says.
    pub platform: Option<Platform>,
    /// Its file.
    pub path: PathBuf,
}

/// All that an image's author can say about it.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What it is made of.
    pub contents: Contents,
    /// Its name and tag.
    pub reference: Reference,
    /// The name of the file in it; `None` takes the input's.
    pub name: Option<EntryName>,
    /// Who runs it.
    pub user: User,
    /// The environment, in order.
    pub env: Vec<KeyValue>,
    /// Arguments after the entry point, replaced by a pod's `args`.
    pub args: Vec<String>,
    /// Labels of the configuration.
    pub labels: Vec<KeyValue>,
    /// Annotations of index and manifests; a later one wins, and any wins over the standard ones.
    pub annotations: Vec<KeyValue>,
    /// The version of what is packed; `None` takes the tag.
    pub version: Option<String>,
    /// An SPDX expression.
    pub licenses: Option<String>,
    /// When the image was made. Without it, the image does not say.
    pub created: Option<Timestamp>,
    /// The time of every file in tars.
    pub modified: Timestamp,
}
