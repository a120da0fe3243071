//! Why nothing can be said of a program.

use std::io;
use std::path::PathBuf;

/// Why nothing can be said of a program.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// A program is missing.
    #[error("cannot run {name}")]
    Start {
        /// Which.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A program failed.
    #[error("{name} failed: {said}")]
    Command {
        /// Which.
        name: String,
        /// What it said.
        said: String,
    },
    /// A program wrote no text.
    #[error("what {0} wrote is no UTF-8")]
    Text(String),
    /// A line that is not understood.
    #[error("cargo tree says {0:?}, which is not understood")]
    Line(String),
    /// The package is not in the tree.
    #[error("cargo tree does not have {0} at its root")]
    NoRoot(String),
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The lock file is none.
    #[error("{path} is no lock file of cargo")]
    Lock {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: toml_edit::TomlError,
    },
    /// A crate of a registry that the lock file does not have.
    #[error("{name} {version} is not in the lock file: build with --locked")]
    NotLocked {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// The program names a crate that cargo does not.
    #[error(
        "{binary} holds code of {found}, which cargo does not count among its crates: say all packages that were built with it, and its target"
    )]
    Unlisted {
        /// The program.
        binary: PathBuf,
        /// `NAME-VERSION`.
        found: String,
    },
    /// The document cannot be written.
    #[error("cannot write the document")]
    Json(#[from] serde_json::Error),
}
