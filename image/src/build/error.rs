//! Why an image was not built.

use std::io;
use std::path::PathBuf;

use oci_spec::OciSpecError;

use super::recipe::{BuildFormat, Setting};
use crate::aot::AotError;
use crate::elf::ElfError;
use crate::layout::OutputError;
use crate::module::ModuleError;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::settings::{EntryName, SettingError};

/// Why an image was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An input cannot be opened.
    #[error("cannot open {path}")]
    Open {
        /// The input.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An input is a folder, a FIFO or the like.
    #[error("{0} is no regular file")]
    NotAFile(PathBuf),
    /// The module is refused.
    #[error("cannot pack {path}")]
    Module {
        /// The module.
        path: PathBuf,
        /// Why not.
        source: ModuleError,
    },
    /// The module needs what WASI does not provide.
    #[error("cannot pack {path} unless told --allow-imports")]
    Imports {
        /// The module.
        path: PathBuf,
        /// Which imports these are.
        source: ModuleError,
    },
    /// The compiled module is refused.
    #[error("cannot pack {path} for {platform}")]
    Compiled {
        /// The compiled module.
        path: PathBuf,
        /// What it was given for.
        platform: Platform,
        /// Why not.
        source: AotError,
    },
    /// Two compiled modules for one platform.
    #[error("two compiled modules are for {0}: an image holds one per platform")]
    SameCompiled(Platform),
    /// The module that is to serve all platforms holds code for one.
    #[error("{0} holds compiled code already: give the module that it was compiled from")]
    AlreadyCompiled(PathBuf),
    /// The binary is refused.
    #[error("cannot pack {path}")]
    Native {
        /// The binary.
        path: PathBuf,
        /// Why not.
        source: ElfError,
    },
    /// What is given as a list of a program's parts is none.
    #[error("{path} is no CycloneDX document in JSON")]
    Sbom {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// Such a list that is too long.
    #[error("{path} has more than {limit} bytes: no program is made of so much")]
    SbomSize {
        /// The file.
        path: PathBuf,
        /// How many there may be.
        limit: u64,
    },
    /// Such a list for a platform that the image is not for.
    #[error("{path} is about {platform}, which the image has nothing for")]
    SbomPlatform {
        /// The file.
        path: PathBuf,
        /// The platform.
        platform: Platform,
    },
    /// No binary at all.
    #[error("there is no binary to pack")]
    Nothing,
    /// Two binaries for one platform.
    #[error("two binaries are for {0}: an image holds one per platform")]
    SamePlatform(Platform),
    /// Binaries of different names.
    #[error("the binaries have different names ({0} and {1}): say which one the image uses with --name")]
    DifferentNames(EntryName, EntryName),
    /// A new image has no digest to be asked for.
    #[error("a new image is named by a tag, not by a digest: {0}")]
    DigestReference(Box<Reference>),
    /// Something that would be lost.
    #[error("an image of the format {} has no place for {setting}: leave it out, or build --format compat", .format.as_str())]
    NotCarried {
        /// The format.
        format: BuildFormat,
        /// What was said.
        setting: Setting,
    },
    /// A name that cannot be.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Writing the image failed.
    #[error("cannot write the image")]
    Write(#[source] io::Error),
    /// A document cannot be put together.
    #[error("cannot put the image's documents together")]
    Document(#[from] OciSpecError),
}
