//! The files of a node, below its root: read within bounds, written whole or not at all.
//!
//! Links are followed as the node itself would follow them, so never out of the root. A file appears under its name by
//! a rename, after its content has reached the disk.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use super::Fate;

/// The most that is read of a file: configurations are a hundredth of it.
const MAX_FILE: u64 = 4 << 20;
/// The most entries that are read of a folder.
const MAX_ENTRIES: usize = 10_000;
/// The most links that are followed for a file that is to be written; as the kernel's own bound.
const MAX_LINKS: usize = 40;
/// The end of temporary names. No program's pattern for its configuration (`*.toml`, `*.conf`) matches it.
const TEMPORARY: &str = ".wasm-node-new";
/// The end of the names of files that are only written to be tried.
const TRIAL: &str = ".wasm-node-try";

/// The name under which a file's new content is tried, beside it, before it takes its place.
pub fn trial_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{TRIAL}"))
}

/// A root folder.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    path: PathBuf,
    fate: Box<dyn Fate>,
}

/// Whose a file is, and who may do what with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u32,
    /// User.
    pub user: u32,
    /// Group.
    pub group: u32,
}

impl Default for Attributes {
    /// What everybody may read and root writes.
    fn default() -> Self {
        Self { mode: 0o644, user: 0, group: 0 }
    }
}

impl Tree {
    /// Opens a root folder.
    ///
    /// # Errors
    /// Where it is none.
    pub fn open(path: &Path, fate: Box<dyn Fate>) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { root, path: path.to_owned(), fate })
    }

    /// Before a change that is none of a file of this tree: the place where tests end a run.
    ///
    /// # Errors
    /// In a test that ends here.
    pub fn about_to(&self, change: &str) -> io::Result<()> {
        self.fate.before(change)
    }

    /// The root folder, as this machine sees it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content of a regular file; `None` where there is nothing.
    ///
    /// # Errors
    /// Where something else is there, or it is over-large.
    pub fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        // Not to wait for the writer of a FIFO.
        let Some(file) = self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)?.map(File::from) else {
            return Ok(None);
        };
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {MAX_FILE} bytes")));
        }
        Ok(Some(bytes))
    }

    /// The content of a file that is text, each byte that is none replaced; `None` where it cannot be read.
    pub fn text(&self, path: &Path) -> Option<String> {
        self.read(path).ok().flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether something is there.
    pub fn exists(&self, path: &Path) -> bool {
        matches!(self.open_at(path, OFlags::PATH), Ok(Some(_)))
    }

    /// Whether a program is there.
    pub fn is_program(&self, path: &Path) -> bool {
        self.attributes(path).ok().flatten().is_some_and(|of| of.mode & 0o111 != 0)
    }

    /// Whose a file is; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn attributes(&self, path: &Path) -> io::Result<Option<Attributes>> {
        let Some(file) = self.open_at(path, OFlags::PATH)? else { return Ok(None) };
        let about = File::from(file).metadata()?;
        Ok(Some(Attributes { mode: about.mode() & 0o7777, user: about.uid(), group: about.gid() }))
    }

    /// The names in a folder, sorted; none where there is no folder.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let folder = match self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(Some(folder)) => folder,
            Ok(None) => return Ok(Vec::new()),
            Err(error) if error.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(folder)?.take(MAX_ENTRIES) {
            let name = String::from_utf8_lossy(entry?.file_name().to_bytes()).into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Puts a file in its place, whole. Folders that lack are made; a link stays one, and what it points to is replaced.
    ///
    /// # Errors
    /// Where that cannot be done; what was there is there still.
    pub fn write(&self, path: &Path, bytes: &[u8], attributes: Attributes) -> io::Result<()> {
        let path = self.target(path)?;
        let (folder, name) = split(&path)?;
        self.make_folder(folder)?;
        let folder = self.folder(folder)?;
        let temporary = temporary_name(name);
        self.fate.before("create a temporary file")?;
        // What a run left that was ended here.
        match rustix::fs::unlinkat(&folder, &temporary, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let written = self.fill(&folder, &temporary, bytes, attributes).and_then(|()| {
            self.fate.before("rename")?;
            rustix::fs::renameat(&folder, &temporary, &folder, name)?;
            Ok(())
        });
        if let Err(error) = written {
            if self.fate.before("remove a temporary file").is_ok() {
                // It may be the full disk that keeps us from more; the first error is the one to tell.
                let _ = rustix::fs::unlinkat(&folder, &temporary, AtFlags::empty());
            }
            return Err(error);
        }
        rustix::fs::fsync(&folder)?;
        Ok(())
    }

    /// Removes a file; nothing where there is none.
    ///
    /// # Errors
    /// Where it stays.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = split(path)?;
        let Ok(folder) = self.folder(folder) else { return Ok(()) };
        self.fate.before("remove a file")?;
        match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) => Ok(rustix::fs::fsync(&folder)?),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a folder if it is empty; nothing otherwise.
    ///
    /// # Errors
    /// In a test that ends here.
    pub fn remove_empty(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = split(path)?;
        let Ok(folder) = self.folder(folder) else { return Ok(()) };
        self.fate.before("remove a folder")?;
        let _ = rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR);
        Ok(())
    }

    /// Removes from a folder what a run left that was ended: temporary files of [`Self::write`] and [`trial_name`]s.
    ///
    /// # Errors
    /// Where one stays.
    pub fn sweep(&self, folder: &Path) -> io::Result<()> {
        self.left(folder)?.iter().try_for_each(|name| self.remove(&folder.join(name)))
    }

    /// What a run left in a folder that was ended.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn left(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = self.list(folder)?;
        names.retain(|name| name.starts_with('.') && (name.ends_with(TEMPORARY) || name.ends_with(TRIAL)));
        Ok(names)
    }

    /// Makes a folder with all above it.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn make_folder(&self, path: &Path) -> io::Result<()> {
        if self.folder(path).is_ok() {
            return Ok(());
        }
        let (above, name) = split(path)?;
        self.make_folder(above)?;
        self.fate.before("make a folder")?;
        match rustix::fs::mkdirat(self.folder(above)?, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Locks a folder for this process; `None` where another one has it. Let go of when dropped, however that comes.
    ///
    /// # Errors
    /// Where there is no such folder.
    pub fn lock(&self, path: &Path) -> io::Result<Option<OwnedFd>> {
        let folder = self
            .open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)?
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(folder)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn fill(&self, folder: &OwnedFd, name: &OsStr, bytes: &[u8], of: Attributes) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600))?);
        let (first, second) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        // Between: a run that ends here leaves half a file.
        self.fate.before("write the rest of a file")?;
        file.write_all(second)?;
        let about = file.metadata()?;
        if (about.uid(), about.gid()) != (of.user, of.group) {
            let user = (about.uid() != of.user).then(|| Uid::from_raw(of.user));
            let group = (about.gid() != of.group).then(|| Gid::from_raw(of.group));
            // Who is not root writes a root folder of their own, where everything is theirs.
            match rustix::fs::fchown(&file, user, group) {
                Err(Errno::PERM) if !rustix::process::geteuid().is_root() => {}
                other => other?,
            }
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(of.mode))?;
        file.sync_all()
    }

    /// The file that a path leads to in the end: itself, or what links point to.
    fn target(&self, path: &Path) -> io::Result<PathBuf> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            let (above, name) = split(&path)?;
            let Ok(folder) = self.folder(above) else { return Ok(path) };
            match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(about) if FileType::from_raw_mode(about.st_mode) == FileType::Symlink => {
                    let link = rustix::fs::readlinkat(&folder, name, Vec::new())?;
                    // A relative one is joined, an absolute one replaces; `..` is resolved by the kernel, in the root.
                    path = above.join(OsStr::from_bytes(link.to_bytes()));
                }
                Ok(_) | Err(Errno::NOENT) => return Ok(path),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::LOOP.into())
    }

    fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        // Not O_PATH: it is synced after a rename.
        self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)?
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn open_at(&self, path: &Path, flags: OFlags) -> io::Result<Option<OwnedFd>> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT) => Ok(None),
            // A file in the place of a folder: what would be in it is not there.
            Err(Errno::NOTDIR) if !flags.contains(OFlags::DIRECTORY) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    path.parent()
        .zip(path.file_name())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no name of a file"))
}

fn temporary_name(name: &OsStr) -> std::ffi::OsString {
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(TEMPORARY);
    temporary
}

#[cfg(test)]
mod tests {
    use super::super::Spared;
    use super::*;

    fn tree() -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::open(folder.path(), Box::new(Spared)).unwrap();
        (folder, tree)
    }

    #[test]
    fn writes_and_reads_below_its_root() {
        let (folder, tree) = tree();
        let path = Path::new("/etc/a/b.toml");
        assert_eq!(tree.read(path).unwrap(), None);
        tree.write(path, b"x = 1\n", Attributes { mode: 0o600, ..Attributes::default() }).unwrap();
        assert_eq!(tree.read(path).unwrap().unwrap(), b"x = 1\n");
        assert_eq!(tree.attributes(path).unwrap().unwrap().mode, 0o600);
        assert!(folder.path().join("etc/a/b.toml").is_file());
        assert_eq!(tree.list(Path::new("/etc/a")).unwrap(), ["b.toml"]);
        std::fs::write(folder.path().join("etc/a/.b.toml.wasm-node-new"), "half").unwrap();
        tree.write(&trial_name(path), b"", Attributes::default()).unwrap();
        tree.sweep(Path::new("/etc/a")).unwrap();
        assert_eq!(tree.list(Path::new("/etc/a")).unwrap(), ["b.toml"]);
        tree.remove(path).unwrap();
        tree.remove(path).unwrap();
        assert!(!tree.exists(path));
    }

    #[test]
    fn links_lead_nowhere_but_into_the_root() {
        let (folder, tree) = tree();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        for (link, target) in
            [("absolute", "/real.toml"), ("up", "../../../../real.toml"), ("chain", "absolute")]
        {
            std::os::unix::fs::symlink(target, folder.path().join("etc").join(link)).unwrap();
            let path = Path::new("/etc").join(link);
            tree.write(&path, link.as_bytes(), Attributes::default()).unwrap();
            assert_eq!(std::fs::read(folder.path().join("real.toml")).unwrap(), link.as_bytes());
            assert!(folder.path().join("etc").join(link).is_symlink());
        }
        std::os::unix::fs::symlink("round", folder.path().join("etc/round")).unwrap();
        assert!(tree.write(Path::new("/etc/round"), b"", Attributes::default()).is_err());
    }

    #[test]
    fn what_is_no_plain_file_is_not_read() {
        let (folder, tree) = tree();
        rustix::fs::mknodat(rustix::fs::CWD, folder.path().join("fifo"), FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        assert!(tree.read(Path::new("/fifo")).is_err());
        assert!(tree.read(Path::new("/")).is_err());
        std::fs::write(folder.path().join("large"), vec![0; MAX_FILE as usize + 1]).unwrap();
        assert!(tree.read(Path::new("/large")).is_err());
    }

    #[test]
    fn one_at_a_time_holds_the_lock() {
        let (_folder, tree) = tree();
        tree.make_folder(Path::new("/state")).unwrap();
        let held = tree.lock(Path::new("/state")).unwrap();
        assert!(held.is_some() && tree.lock(Path::new("/state")).unwrap().is_none());
        drop(held);
        assert!(tree.lock(Path::new("/state")).unwrap().is_some());
    }
}
