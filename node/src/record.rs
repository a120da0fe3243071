//! What is remembered between runs: which files were written, what was there before, and how far a run came.
//!
//! It is written before the first change and after the last one. A run that was ended in between is carried on with by
//! the next: what it had written is found in the files themselves, what was there before and what is still due, here.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasm_image::Digest;

use crate::cri::CriState;
use crate::plan::Share;
use crate::spec;
use crate::system::{Attributes, Tree};

/// The record, below [`spec::STATE_DIR`].
const FILE: &str = "record.json";
/// The form of the record.
const FORM: u32 = 1;
/// Nobody but root: a configuration may hold credentials of registries.
const PRIVATE: Attributes = Attributes { mode: 0o600, user: 0, group: 0 };

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    form: u32,
    /// How far the last run came.
    pub phase: Phase,
    /// Whether containerd has to start anew because of what was written.
    pub restart_due: bool,
    /// containerd as it was before the first change of the last run.
    pub before: Option<CriState>,
    /// The files that were written.
    pub files: BTreeMap<PathBuf, Written>,
    /// The packages that were installed.
    pub packages: Vec<String>,
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It began to change files.
    Applying,
    /// It is done.
    Applied,
    /// It began to put back what was there.
    Removing,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// How much of it is ours.
    pub share: Share,
    /// What was there; nothing where there was no file.
    pub original: Option<Original>,
    /// What was written.
    pub digest: String,
}

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// Names the copy.
    pub digest: String,
    /// Whose it was.
    pub attributes: Attributes,
}

/// Why what is remembered cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Reading or writing failed.
    #[error("cannot {what} {path}")]
    Io {
        /// Read, write.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is none, or one of a later version.
    #[error(
        "{0} is not understood: it is of a later version, or was damaged; look into it, and remove it to begin anew"
    )]
    Form(PathBuf),
    /// A copy is not what it was.
    #[error("the copy {0} is missing or was changed: put the file back by hand, or remove {dir} to leave all as it is", dir = spec::STATE_DIR)]
    Copy(PathBuf),
}

impl Default for Record {
    fn default() -> Self {
        Self {
            form: FORM,
            phase: Phase::Applying,
            restart_due: false,
            before: None,
            files: BTreeMap::new(),
            packages: Vec::new(),
        }
    }
}

/// The digest by which bytes are known.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

impl Record {
    /// Reads the record; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read or understood.
    pub fn load(tree: &Tree) -> Result<Option<Self>, RecordError> {
        let path = path();
        let read = |source| RecordError::Io { what: "read", path: path.clone(), source };
        let Some(bytes) = tree.read(&path).map_err(read)? else { return Ok(None) };
        let record: Self = serde_json::from_slice(&bytes).map_err(|_| RecordError::Form(path.clone()))?;
        if record.form == FORM { Ok(Some(record)) } else { Err(RecordError::Form(path)) }
    }

    /// Writes the record.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&self, tree: &Tree) -> Result<(), RecordError> {
        let path = path();
        let write = |source| RecordError::Io { what: "write", path: path.clone(), source };
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| write(error.into()))?;
        bytes.push(b'\n');
        tree.write(&path, &bytes, PRIVATE).map_err(write)
    }

    /// Keeps a copy of a file as it is.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep(tree: &Tree, bytes: &[u8], attributes: Attributes) -> Result<Original, RecordError> {
        let digest = digest(bytes);
        let path = copy(&digest);
        if tree.read(&path).ok().flatten().as_deref() != Some(bytes) {
            let write = |source| RecordError::Io { what: "write", path: path.clone(), source };
            tree.write(&path, bytes, PRIVATE).map_err(write)?;
        }
        Ok(Original { digest, attributes })
    }

    /// The bytes of a copy.
    ///
    /// # Errors
    /// Where they are not what they were.
    pub fn kept(tree: &Tree, original: &Original) -> Result<Vec<u8>, RecordError> {
        let path = copy(&original.digest);
        let bytes = tree.read(&path).ok().flatten().filter(|bytes| digest(bytes) == original.digest);
        bytes.ok_or(RecordError::Copy(path))
    }

    /// Removes record and copies, the record last.
    ///
    /// # Errors
    /// Where something stays.
    pub fn forget(tree: &Tree) -> Result<(), RecordError> {
        let folder = Path::new(spec::STATE_DIR);
        let remove = |path: PathBuf| {
            tree.remove(&path).map_err(|source| RecordError::Io { what: "remove", path, source })
        };
        let names = tree.list(folder).unwrap_or_default();
        names.into_iter().filter(|name| name != FILE).try_for_each(|name| remove(folder.join(name)))?;
        remove(path())?;
        tree.remove_empty(folder).map_err(|source| RecordError::Io {
            what: "remove",
            path: folder.into(),
            source,
        })
    }

    /// Removes the copies that no file refers to any more.
    ///
    /// # Errors
    /// Where one stays.
    pub fn tidy(&self, tree: &Tree) -> Result<(), RecordError> {
        let used = |name: &String| {
            name == FILE
                || self
                    .files
                    .values()
                    .filter_map(|file| file.original.as_ref())
                    .any(|of| name == hex(&of.digest))
        };
        for name in tree.list(Path::new(spec::STATE_DIR)).unwrap_or_default() {
            if !used(&name) {
                let path = Path::new(spec::STATE_DIR).join(name);
                tree.remove(&path).map_err(|source| RecordError::Io { what: "remove", path, source })?;
            }
        }
        Ok(())
    }
}

fn path() -> PathBuf {
    Path::new(spec::STATE_DIR).join(FILE)
}

fn copy(digest: &str) -> PathBuf {
    Path::new(spec::STATE_DIR).join(hex(digest))
}

fn hex(digest: &str) -> &str {
    digest.rsplit(':').next().unwrap_or_default()
}
