//! containerd: the program, its configuration's files, and what answers on its socket.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Layout;
use crate::config::{ConfigError, Document, Effective};
use crate::cri::CriState;
use crate::invocation::Invocation;
use crate::system::{System, Tree};

/// The most files that a configuration is read from.
const MAX_FILES: usize = 50;

/// The program.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Containerd {
    /// Its version.
    pub version: Version,
}

/// A version: the first two numbers decide what is possible.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Version {
    /// 1 or 2.
    pub major: u32,
    /// What features go by.
    pub minor: u32,
    /// As the program says it.
    pub text: String,
}

/// One file of the configuration.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ConfigFile {
    /// Where.
    pub path: PathBuf,
    /// Its content; `None` where there is no such file.
    #[serde(skip)]
    pub bytes: Option<Vec<u8>>,
    /// What it says; nothing for a template that is no TOML.
    #[serde(skip)]
    pub document: Option<Document>,
}

/// What answers on containerd's socket.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Live {
    /// Nothing runs in a root folder.
    Folder,
    /// Its CRI answers.
    Up(CriState),
    /// It does not; why.
    Down(String),
}

impl Live {
    /// The state, where there is one.
    pub fn state(&self) -> Option<&CriState> {
        match self {
            Self::Up(state) => Some(state),
            _ => None,
        }
    }
}

impl Containerd {
    /// Asks the program; `None` where there is none.
    pub(super) fn ask(system: &dyn System, layout: &Layout) -> Option<Self> {
        let ran = match &layout.containerd {
            Some(program) => system.run(&Invocation::look(&**program, &["--version"])).ok()?,
            None => system.run(&layout.ctr(&["--version"])).ok()?,
        };
        // containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+deb13u1; ctr github.com/… v2.1.4-k3s1
        let version = ran.stdout.split_whitespace().skip(1).find_map(|word| word.parse().ok())?;
        Some(Self { version })
    }

    /// Whether it imports files of `conf.d` without being told.
    pub fn imports_by_itself(&self) -> bool {
        (self.version.major, self.version.minor) >= (2, 2)
    }
}

impl std::str::FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let mut numbers = bare.split(['.', '-', '~', '+']);
        let mut number = || numbers.next().and_then(|word| word.parse().ok()).ok_or(());
        Ok(Self { major: number()?, minor: number()?, text: bare.chars().take(60).collect() })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The configuration's files, the main one first, then what it imports, as containerd loads them.
///
/// # Errors
/// Where one cannot be read, or is not what containerd could read; with its path.
pub(super) fn load(tree: &Tree, main: &Path) -> Result<Vec<ConfigFile>, (PathBuf, ConfigReadError)> {
    let mut files: Vec<ConfigFile> = Vec::new();
    let mut waiting = std::collections::VecDeque::from([main.to_owned()]);
    while let Some(path) = waiting.pop_front() {
        if files.iter().any(|file| file.path == path) || files.len() >= MAX_FILES {
            continue;
        }
        let bytes = tree.read(&path).map_err(|error| (path.clone(), error.into()))?;
        let document = match &bytes {
            Some(bytes) => Some(Document::parse(bytes).map_err(|error| (path.clone(), error.into()))?),
            None => None,
        };
        for pattern in document.as_ref().map(Document::imports).unwrap_or_default() {
            waiting.extend(matching(tree, &path, &pattern));
        }
        files.push(ConfigFile { path, bytes, document });
    }
    Ok(files)
}

/// Why a file of the configuration is not understood.
#[derive(Debug, thiserror::Error)]
pub enum ConfigReadError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It cannot be understood.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// The files that an import stands for: one, or those of a folder by a pattern with `*` in its last part.
fn matching(tree: &Tree, file: &Path, pattern: &str) -> Vec<PathBuf> {
    let path = file.parent().unwrap_or(Path::new("/")).join(pattern);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let Some((prefix, suffix)) = name.split_once('*') else {
        return if tree.exists(&path) { vec![path] } else { Vec::new() };
    };
    let names = tree.list(folder).unwrap_or_default();
    let fits = |name: &&String| {
        name.len() >= prefix.len() + suffix.len()
            && name.starts_with(prefix)
            && name.ends_with(suffix)
            // As a shell's pattern, `*` does not stand for a leading dot; nor does ours, whatever containerd thinks.
            && !name.starts_with('.')
    };
    names.iter().filter(fits).map(|name| folder.join(name)).collect()
}

/// What containerd itself makes of a configuration; `None` where it cannot be asked.
pub(crate) fn dump(system: &dyn System, layout: &Layout, config: &Path) -> Option<Result<Effective, String>> {
    let program = layout.containerd.as_ref()?;
    let config = config.to_str()?;
    let ran = system.run(&Invocation::look(&**program, &["--config", config, "config", "dump"])).ok()?;
    if !ran.succeeded() {
        return Some(Err(ran.complaint()));
    }
    Some(Effective::parse(&ran.stdout).map_err(|error| error.to_string()))
}
