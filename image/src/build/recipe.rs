//! What an image's author can say about it.

use std::fmt;
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

/// In which form a module is packed. What is made of binaries is always [`Compat`](Self::Compat).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildFormat {
    /// An ordinary image, whose entry point is the module: what crun, youki, runwasi and Podman run.
    #[default]
    Compat,
    /// The artifact of CNCF's working group for wasm, for wkg, wasmCloud and runwasi.
    Artifact,
    /// What `wasm-to-oci` pushed, for Krustlet's time.
    WasmToOci,
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

/// A list of what a program is made of, in CycloneDX's JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sbom {
    /// The platform whose program it is about; `None` for that of the whole image.
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
    /// In which form it is packed.
    pub format: BuildFormat,
    /// What it is made of: each becomes a referrer of the image, or of one platform's manifest.
    pub sboms: Vec<Sbom>,
}

impl BuildFormat {
    /// The name, as the command line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compat => "compat",
            Self::Artifact => "artifact",
            Self::WasmToOci => "wasm-to-oci",
        }
    }
}

impl Recipe {
    /// Of these contents, under this name; all else as where nothing is said about it.
    pub fn new(contents: Contents, reference: Reference) -> Self {
        Self {
            contents,
            reference,
            name: None,
            user: User::default(),
            env: Vec::new(),
            args: Vec::new(),
            labels: Vec::new(),
            annotations: Vec::new(),
            version: None,
            licenses: None,
            created: None,
            modified: Timestamp::default(),
            format: BuildFormat::Compat,
            sboms: Vec::new(),
        }
    }

    /// The first thing that was said and has no place in the format.
    pub(super) fn not_carried(&self) -> Option<Setting> {
        if self.format == BuildFormat::Compat {
            return None;
        }
        let said = [
            (matches!(self.contents, Contents::Native(_)), Setting::Native),
            (self.has_compiled(), Setting::Compiled),
            (self.user != User::default(), Setting::User),
            (!self.env.is_empty(), Setting::Env),
            (!self.args.is_empty(), Setting::Args),
            (!self.labels.is_empty(), Setting::Labels),
        ];
        said.into_iter().find_map(|(said, setting)| said.then_some(setting))
    }

    fn has_compiled(&self) -> bool {
        matches!(&self.contents, Contents::Module { compiled, .. } if !compiled.is_empty())
    }
}

/// What only an ordinary image has a place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A static binary.
    Native,
    /// A compiled module for some platforms.
    Compiled,
    /// Who runs it.
    User,
    /// The environment.
    Env,
    /// Arguments after the entry point.
    Args,
    /// Labels of the configuration.
    Labels,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "a native binary (--native)",
            Self::Compiled => "compiled modules (--compiled)",
            Self::User => "a user (--user)",
            Self::Env => "an environment (--env)",
            Self::Args => "arguments (--arg)",
            Self::Labels => "labels (--label; --annotation has a place)",
        })
    }
}
