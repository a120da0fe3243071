//! crun and the engine that it loads. Never judged by a version: a build without the engine has the same one.

use std::path::{Path, PathBuf};

use crate::invocation::Invocation;
use crate::spec;
use crate::system::{System, Tree};

/// Where crun may be; the first one wins.
const PROGRAMS: [&str; 3] = ["/usr/local/bin/crun", "/usr/bin/crun", "/usr/sbin/crun"];
/// Where the loader looks for libraries.
const LIBRARIES: [&str; 7] = [
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib64",
    "/lib",
];

/// The low-level runtime.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Crun {
    /// The program.
    pub path: PathBuf,
    /// The version that it says.
    pub version: String,
    /// What it was built with: `+WASM:wasmedge` and the like.
    pub features: Vec<String>,
    /// Why it could not be asked.
    pub failure: Option<String>,
}

/// The engine's library.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Engine {
    /// The library.
    pub path: PathBuf,
}

impl Crun {
    pub(super) fn find(system: &dyn System) -> Option<Self> {
        let found = PROGRAMS.iter().find(|path| system.tree().is_program(Path::new(path)))?;
        let asked = system.run(&Invocation::look(*found, &["--version"]));
        let (text, failure) = match asked {
            Ok(ran) if ran.succeeded() => (ran.stdout, None),
            Ok(ran) => (String::new(), Some(ran.complaint())),
            Err(error) => (String::new(), Some(error.to_string())),
        };
        let version = text.lines().find_map(|line| line.strip_prefix("crun version ")).unwrap_or_default();
        let features = text.lines().find(|line| line.starts_with('+')).unwrap_or_default();
        Some(Self {
            path: found.into(),
            version: version.trim().to_owned(),
            features: features.split_whitespace().map(str::to_owned).collect(),
            failure,
        })
    }

    /// Whether it was built with the engine.
    pub fn has_engine(&self) -> bool {
        self.features.iter().any(|feature| feature == spec::CRUN_FEATURE)
    }
}

impl Engine {
    pub(super) fn find(tree: &Tree) -> Option<Self> {
        let path = LIBRARIES.iter().map(|folder| Path::new(folder).join(spec::ENGINE_LIBRARY));
        path.into_iter().find(|path| tree.exists(path)).map(|path| Self { path })
    }
}
