//! Where a result is made, and how it takes its place: in a hidden folder beside the output, synced, renamed.
//! Refuses to replace what is no image layout.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use tempfile::TempDir;

use super::BlobStore;
use crate::spec;

/// Begins the name of every staging folder.
const PREFIX: &str = ".wasm-image-";
/// A staging folder without an owner that is older was left by a killed build. Younger ones may be about to be locked.
const ABANDONED: Duration = Duration::from_secs(60);
/// What a layout may hold besides blobs; more means that the folder is someone's work.
const LAYOUT_ENTRIES: [&str; 3] = [spec::LAYOUT_FILE, spec::INDEX_FILE, spec::BLOBS_DIR];

/// Where an image goes, and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// An image layout in a folder.
    Layout(PathBuf),
    /// A layout in a tar file.
    Archive(PathBuf),
}

/// Why a result could not take its place.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// A folder with something else in it.
    #[error("{path} exists and is no image layout ({reason}): remove it yourself or choose another output")]
    NotALayout {
        /// The output.
        path: PathBuf,
        /// What gave it away.
        reason: String,
    },
    /// A folder, device or the like where a tar file should go.
    #[error("{0} exists and is no regular file: choose another output")]
    NotAFile(PathBuf),
    /// The output is the input.
    #[error("{0} is the file that is being packed: choose another output")]
    IsInput(PathBuf),
    /// No name to write to.
    #[error("{0} names no file or folder to write")]
    NoName(PathBuf),
    /// The system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Output {
    /// A path that ends in `.tar` is an archive, any other a layout.
    pub fn from_path(path: PathBuf) -> Self {
        if path.extension().is_some_and(|extension| extension == "tar") {
            Self::Archive(path)
        } else {
            Self::Layout(path)
        }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Layout(path) | Self::Archive(path) => path,
        }
    }

    /// Refuses, before any work, an output that must not be replaced.
    pub(crate) fn check(&self, inputs: &[File]) -> Result<(), OutputError> {
        let path = self.path();
        let Some(metadata) = stat(path)? else { return Ok(()) };
        for input in inputs {
            let input = input.metadata().map_err(io_error("read", path))?;
            if (input.dev(), input.ino()) == (metadata.dev(), metadata.ino()) {
                return Err(OutputError::IsInput(path.to_owned()));
            }
        }
        match self {
            Self::Layout(_) => check_layout(path, &metadata),
            Self::Archive(_) if metadata.is_file() => Ok(()),
            Self::Archive(_) => Err(OutputError::NotAFile(path.to_owned())),
        }
    }
}

/// A hidden folder beside the output. It goes when this is dropped; a lock on it tells a build that runs from one
/// that was killed, whose folder the next build to the same output removes.
#[derive(Debug)]
pub(crate) struct Staging {
    folder: TempDir,
    target: PathBuf,
    _lock: File,
}

impl Staging {
    pub(crate) fn beside(output: &Output) -> Result<Self, OutputError> {
        let path = output.path();
        // A link to the output stays; what it points to is replaced.
        let target = match fs::canonicalize(path) {
            Ok(target) => target,
            Err(_) => path.to_owned(),
        };
        let name = target.file_name().ok_or_else(|| OutputError::NoName(path.to_owned()))?;
        let parent = parent_of(&target);
        let prefix = format!("{PREFIX}{}-", name.to_string_lossy());
        remove_abandoned(parent, &prefix);
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(parent)
            .map_err(io_error("write into", parent))?;
        let lock = File::open(folder.path()).map_err(io_error("open", folder.path()))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| io_error("lock", folder.path())(error.into()))?;
        Ok(Self { folder, target, _lock: lock })
    }

    #[cfg(feature = "registry")]
    /// What will be written: the output, or what it links to.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A path within the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts the finished layout in its place.
    pub(crate) fn publish_layout(self, store: &BlobStore) -> Result<(), OutputError> {
        sync_tree(store.root()).map_err(io_error("sync", store.root()))?;
        let target = &self.target;
        // Looked at again: the build may have taken a while.
        let occupied = match stat(target)? {
            Some(metadata) => {
                check_layout(target, &metadata)?;
                fs::read_dir(target).map_err(io_error("read", target))?.next().is_some()
            }
            None => false,
        };
        if occupied {
            exchange(store.root(), target, &self.path("old")).map_err(io_error("replace", target))?;
        } else {
            fs::rename(store.root(), target).map_err(io_error("create", target))?;
        }
        sync(parent_of(target)).map_err(io_error("sync", parent_of(target)))
    }

    /// Puts the finished file in its place.
    pub(crate) fn publish_file(self, file: &Path) -> Result<(), OutputError> {
        sync(file).map_err(io_error("sync", file))?;
        fs::rename(file, &self.target).map_err(io_error("create", &self.target))?;
        sync(parent_of(&self.target)).map_err(io_error("sync", parent_of(&self.target)))
    }
}

/// Swaps two folders in one step, so that the target is never missing; in two where the file system cannot.
fn exchange(new: &Path, target: &Path, aside: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::rename(target, aside)?;
            fs::rename(new, target).inspect_err(|_| {
                // The old one goes back; if even that fails, the first error is the one to tell.
                let _ = fs::rename(aside, target);
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// An error unless the folder is empty or holds an image layout and nothing else.
fn check_layout(path: &Path, metadata: &fs::Metadata) -> Result<(), OutputError> {
    let refuse = |reason: String| Err(OutputError::NotALayout { path: path.to_owned(), reason });
    if !metadata.is_dir() {
        return refuse("not a folder".to_owned());
    }
    let mut marked = false;
    let mut empty = true;
    for entry in fs::read_dir(path).map_err(io_error("read", path))? {
        let name = entry.map_err(io_error("read", path))?.file_name();
        empty = false;
        marked |= name == spec::LAYOUT_FILE;
        if !LAYOUT_ENTRIES.iter().any(|known| name == *known) {
            return refuse(format!("it holds {:?}", name.to_string_lossy()));
        }
    }
    if empty || marked { Ok(()) } else { refuse(format!("it has no file {}", spec::LAYOUT_FILE)) }
}

/// Best effort: what cannot be removed bothers no one.
fn remove_abandoned(parent: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let age = entry.metadata().and_then(|metadata| metadata.modified());
        let old = age.is_ok_and(|modified| {
            SystemTime::now().duration_since(modified).is_ok_and(|age| age > ABANDONED)
        });
        let Ok(folder) = File::open(entry.path()) else { continue };
        if old && flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn stat(path: &Path) -> Result<Option<fs::Metadata>, OutputError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("look at", path)(error)),
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Syncs every file and folder beneath `path`, then itself.
fn sync_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            sync(&entry.path())?;
        }
    }
    sync(path)
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OutputError {
    let path = path.to_owned();
    move |source| OutputError::Io { action, path, source }
}
