//! Why a node cannot be prepared as it is.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::handler::HandlerName;

/// Why a node cannot be prepared as it is, and what a person can do. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A configuration that takes no further runtime.
    #[error("cannot add a runtime to {path}; it was left as it is")]
    Config {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: ConfigError,
    },
    /// The name is in use for something else.
    #[error(
        "{path} has a runtime {handler} that is not ours and does not run wasm: {why}; take it out, or choose another name with --handler"
    )]
    HandlerTaken {
        /// The file.
        path: PathBuf,
        /// The name.
        handler: HandlerName,
        /// What is wrong with it.
        why: String,
    },
    /// A crun without the engine that packages cannot replace.
    #[error(
        "{path} (version {version}) is built without WasmEdge, and this distribution has no other: put a crun whose --version lists +WASM:wasmedge at /usr/local/bin/crun"
    )]
    CrunWithoutEngine {
        /// crun.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// A crun that does not run.
    #[error("cannot ask {path} for its features ({why}): reinstall it")]
    CrunBroken {
        /// crun.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Debian before 13.
    #[error(
        "{name} has no crun with WasmEdge; missing: {}; --from-trixie takes those of Debian 13, pinned so that nothing else comes from there but what they need (libc6 and base-files among it: the system calls itself Debian 13 then)", .missing.join(", ")
    )]
    TooOld {
        /// The distribution.
        name: String,
        /// What is missing.
        missing: Vec<String>,
    },
    /// apt has no source from which Debian 13 could be had, too.
    #[error(
        "missing: {}; they come from Debian 13, and neither /etc/apt/sources.list nor sources.list.d names a Debian mirror to take it from: name one there, by http or https", .missing.join(", ")
    )]
    NoMirror {
        /// What is missing.
        missing: Vec<String>,
    },
    /// Nobody here knows how to install.
    #[error("missing: {}; how {name} installs them is not known here: install them, then run this again", .missing.join(", "))]
    UnknownDistribution {
        /// The distribution.
        name: String,
        /// What is missing.
        missing: Vec<String>,
    },
    /// Told not to install.
    #[error("missing: {}; install them, or leave --no-packages out", .missing.join(", "))]
    PackagesMissing {
        /// What is missing.
        missing: Vec<String>,
    },
    /// containerd's client does not say what a container begins with.
    #[error(
        "cannot learn containerd's default OCI configuration from `{command}`: is containerd's client installed?"
    )]
    NoDefaultSpec {
        /// What was tried.
        command: String,
    },
    /// It said something else.
    #[error("what containerd's client says of its default OCI configuration is not understood")]
    DefaultSpec(#[source] serde_json::Error),
}
