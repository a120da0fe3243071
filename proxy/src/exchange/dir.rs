//! Files of the exchange directory. The handler writes there and is not trusted: no link is followed, nothing but a
//! regular file is read, and never more than its limit.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use akri_exchange::layout;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RawMode, RenameFlags, chmodat, fstat, mkdirat, mknodat, openat,
    renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use crate::random::random;

/// The exchange directory, open.
#[derive(Debug)]
pub(crate) struct ExchangeDir {
    path: PathBuf,
    root: OwnedFd,
    /// With a setgid directory (a pod's `fsGroup`) the group is the handler's and the world needs nothing;
    /// without it the world is all that proxy and handler have in common.
    grouped: bool,
    /// Our own mark on temporary names. Not the process id: in a container every proxy is process 1.
    mark: String,
}

/// Who may do what with something that the proxy makes.
#[derive(Clone, Copy)]
enum Access {
    /// The handler reads.
    Read,
    /// The handler reads and writes.
    Write,
}

impl ExchangeDir {
    /// Opens the directory. Changes nothing.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(rustix::fs::CWD, path, flags, Mode::empty())?;
        let grouped = fstat(&root)?.st_mode & Mode::SGID.as_raw_mode() != 0;
        let mark = format!("{:016x}", random());
        Ok(Self { path: path.to_owned(), root, grouped, mark })
    }

    /// Whether the path still leads here. Who deletes the directory and makes another one leaves us with one that nobody
    /// sees any more.
    pub(crate) fn is_current(&self) -> bool {
        match (statat(rustix::fs::CWD, &self.path, AtFlags::empty()), fstat(&self.root)) {
            (Ok(named), Ok(open)) => (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino),
            _ => false,
        }
    }

    /// Makes what is missing: the folders first, the FIFO last. Several proxies may do so at once.
    pub(crate) fn ensure_layout(&self) -> io::Result<()> {
        self.ensure_folder(&self.root, layout::REQUESTS, Access::Read)?;
        self.ensure_folder(&self.root, layout::ANSWERS, Access::Write)?;
        self.ensure_folder(&self.root, layout::INPUTS, Access::Read)?;
        self.ensure_fifo()
    }

    /// The directory's path, for watches and messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a folder of the directory, never through a link.
    pub(crate) fn folder(&self, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.root, name, flags, Mode::empty())?)
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Makes and opens a folder below a folder, for the handler to read.
    pub(crate) fn subfolder(&self, parent: impl AsFd, name: &str) -> io::Result<OwnedFd> {
        self.ensure_folder(&parent, name, Access::Read)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(parent, name, flags, Mode::empty())?)
    }

    /// Opens a file in a folder for reading, and says how large it is now. `None` where there is none.
    pub(crate) fn open_file(
        &self,
        folder: impl AsFd,
        name: &str,
        limit: usize,
    ) -> io::Result<Option<(File, usize)>> {
        // Not blocking, for a FIFO would otherwise hold the proxy up; not controlling, for it may be a terminal.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(folder, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(io::Error::other("it is a link, which is not followed")),
            Err(errno) => return Err(errno.into()),
        };
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is not a regular file"));
        }
        match usize::try_from(stat.st_size) {
            Ok(size) if size <= limit => Ok(Some((file.into(), size))),
            _ => Err(too_large(limit)),
        }
    }

    /// Reads a file in a folder. `None` where there is none.
    pub(crate) fn read(&self, folder: impl AsFd, name: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let Some((file, size)) = self.open_file(folder, name, limit)? else { return Ok(None) };
        read_all(&file, size, limit).map(Some)
    }

    /// Writes a file whole, for the handler to read: a reader sees all of it or none.
    pub(crate) fn write(&self, folder: impl AsFd, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = layout::temporary(name, &self.mark);
        let written = self
            .write_to(&folder, &temporary, bytes)
            .and_then(|()| renameat(&folder, &temporary, &folder, name).map_err(io::Error::from));
        if written.is_err() {
            // What could not be finished must not stay; that it may not even be there is no further error.
            let _ = unlinkat(&folder, &temporary, AtFlags::empty());
        }
        written
    }

    fn write_to(&self, folder: impl AsFd, name: &str, bytes: &[u8]) -> io::Result<()> {
        // No fsync: the directory is memory, and a reader of the same kernel sees what was written.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, name, flags, Mode::from_raw_mode(0o600))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(if self.grouped { 0o640 } else { 0o644 }))?;
        File::from(file).write_all(bytes)
    }

    /// Removes a file. One that is not there is no error.
    pub(crate) fn remove(&self, folder: impl AsFd, name: &str) -> io::Result<()> {
        match unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes sure that nothing has a name of ours, whatever a handler made of it.
    pub(crate) fn displace(&self, folder: impl AsFd, name: &str) -> io::Result<()> {
        match unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR) => {}
            Err(errno) => return Err(errno.into()),
        }
        match unlinkat(&folder, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // A full folder is not gone through, for it may be endless: it gets a name that nobody looks at.
            Err(Errno::NOTEMPTY) => {
                let aside = layout::temporary(name, &format!("{:016x}", random()));
                Ok(renameat(&folder, name, &folder, aside)?)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Names in a folder, at most `limit` of them; those that are no UTF-8 are none of ours.
    pub(crate) fn names(&self, folder: impl AsFd, limit: usize) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(folder)? {
            let name = entry?.file_name().to_str().map(str::to_owned);
            names.extend(name.ok().filter(|name| !name.starts_with('.')));
            if names.len() >= limit {
                break;
            }
        }
        Ok(names)
    }

    /// Removes what a writer that was killed half-way left in a folder; only where no other one can be writing.
    pub(crate) fn sweep(&self, folder: impl AsFd, of: &[&str]) -> io::Result<()> {
        for entry in Dir::read_from(&folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(unfinished) = name.strip_prefix(layout::TEMPORARY_PREFIX) else { continue };
            if of.is_empty() || of.iter().any(|of| unfinished.starts_with(of)) {
                // What is no file is none of ours: the folder itself, or what a handler put there.
                let _ = self.remove(&folder, &name);
            }
        }
        Ok(())
    }

    fn ensure_folder(&self, parent: impl AsFd, name: &str, access: Access) -> io::Result<()> {
        let mode = Mode::from_raw_mode(self.mode(access, 0o111));
        match mkdirat(&parent, name, mode) {
            // The umask has taken bits away; only the maker may give them back.
            Ok(()) => return Ok(chmodat(&parent, name, mode, AtFlags::empty())?),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let there = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
            return Ok(());
        }
        // A handler put something else in its place. Once more, and then it is an error that is told.
        self.remove(&parent, name)?;
        mkdirat(&parent, name, mode)?;
        Ok(chmodat(&parent, name, mode, AtFlags::empty())?)
    }

    /// Makes the FIFO under a name of our own and renames it without replacing, so that there is ever only one.
    fn ensure_fifo(&self) -> io::Result<()> {
        match statat(&self.root, layout::WAKE, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo => return Ok(()),
            Ok(_) => self.displace(&self.root, layout::WAKE)?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let temporary = layout::temporary(layout::WAKE, &self.mark);
        let mode = Mode::from_raw_mode(self.mode(Access::Write, 0));
        self.remove(&self.root, &temporary)?;
        mknodat(&self.root, &temporary, FileType::Fifo, mode, 0)?;
        chmodat(&self.root, &temporary, mode, AtFlags::empty())?;
        match renameat_with(&self.root, &temporary, &self.root, layout::WAKE, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => self.remove(&self.root, &temporary),
            // Another proxy that starts took it for a dead one's. It has made the FIFO by now, or we do at the next try.
            Err(Errno::NOENT) => Err(io::ErrorKind::Interrupted.into()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn mode(&self, access: Access, execute: RawMode) -> RawMode {
        let handler = match access {
            Access::Read => 0o4,
            Access::Write => 0o6,
        };
        let (group, world, setgid) =
            if self.grouped { (handler, 0, Mode::SGID.as_raw_mode()) } else { (0o4, handler, 0) };
        let execute = if self.grouped { execute & 0o110 } else { execute };
        // Only folders hand their group on.
        (0o600 | group << 3 | world | execute) | if execute == 0 { 0 } else { setgid }
    }
}

/// Reads a file that was `size` bytes large when it was opened.
pub(super) fn read_all(file: &File, size: usize, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(size);
    // One byte more than allowed: a file that grows while it is read is noticed, and not followed.
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

pub(super) fn too_large(limit: usize) -> io::Error {
    io::Error::other(format!("it is larger than {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    fn dir() -> (tempfile::TempDir, ExchangeDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = ExchangeDir::open(folder.path()).unwrap();
        dir.ensure_layout().unwrap();
        (folder, dir)
    }

    #[test]
    fn the_layout_is_made_once_and_kept() {
        let (folder, dir) = dir();
        let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(
            (mode("requests"), mode("answers"), mode("inputs"), mode("wake")),
            (0o755, 0o757, 0o755, 0o646)
        );
        assert!(folder.path().join("wake").metadata().unwrap().file_type().is_fifo());
        dir.ensure_layout().unwrap();
        std::fs::remove_file(folder.path().join("wake")).unwrap();
        std::fs::write(folder.path().join("wake"), "not a FIFO").unwrap();
        dir.ensure_layout().unwrap();
        assert!(folder.path().join("wake").metadata().unwrap().file_type().is_fifo());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn in_a_setgid_directory_the_world_gets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o2770)).unwrap();
        let dir = ExchangeDir::open(folder.path()).unwrap();
        dir.ensure_layout().unwrap();
        dir.write(dir.root(), "x", b"").unwrap();
        let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(
            (mode("requests"), mode("answers"), mode("wake"), mode("x")),
            (0o2750, 0o2770, 0o660, 0o640)
        );
    }

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let (folder, dir) = dir();
        let read = |name: &str| dir.read(dir.root(), name, 10);
        std::fs::write(folder.path().join("ten"), [b'x'; 10]).unwrap();
        std::fs::write(folder.path().join("eleven"), [b'x'; 11]).unwrap();
        File::create(folder.path().join("sparse")).unwrap().set_len(10 << 30).unwrap();
        symlink("ten", folder.path().join("link")).unwrap();
        assert_eq!(read("ten").unwrap().unwrap().len(), 10);
        assert!(read("nothing").unwrap().is_none());
        for bad in ["eleven", "sparse", "link", "wake", "answers"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(
            dir.read(dir.root(), "../ten", 10).is_err()
                || dir.read(dir.root(), "../ten", 10).unwrap().is_none()
        );
    }

    #[test]
    fn a_folder_in_the_place_of_a_file_is_put_aside() {
        let (folder, dir) = dir();
        for name in ["wake", "stop"] {
            dir.displace(dir.root(), name).unwrap();
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("x"), "").unwrap();
            dir.displace(dir.root(), name).unwrap();
            assert!(!folder.path().join(name).exists());
        }
        dir.displace(dir.root(), "stop").unwrap();
        std::fs::create_dir(folder.path().join("wake")).unwrap();
        dir.ensure_layout().unwrap();
        assert!(folder.path().join("wake").metadata().unwrap().file_type().is_fifo());
    }

    #[test]
    fn what_stands_in_the_place_of_a_folder_is_removed() {
        let (folder, dir) = dir();
        let answers = folder.path().join("answers");
        std::fs::remove_dir(&answers).unwrap();
        std::fs::write(&answers, "not a folder").unwrap();
        dir.ensure_layout().unwrap();
        std::fs::remove_dir(&answers).unwrap();
        symlink("/etc", &answers).unwrap();
        dir.ensure_layout().unwrap();
        assert!(answers.symlink_metadata().unwrap().is_dir());
    }

    /// In containers both are process 1, so nothing may hang on the process id; threads show the same.
    #[test]
    fn many_may_make_the_layout_at_once() {
        for _ in 0..50 {
            let folder = tempfile::tempdir().unwrap();
            let ready = std::sync::Barrier::new(8);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let dir = ExchangeDir::open(folder.path()).unwrap();
                        ready.wait();
                        dir.ensure_layout().unwrap();
                        let folder = dir.folder("requests").unwrap();
                        dir.write(folder, "same", b"whole").unwrap();
                    });
                }
            });
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
            assert_eq!(std::fs::read_dir(folder.path().join("requests")).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_folder_that_is_a_link_is_not_entered() {
        let (folder, dir) = dir();
        std::fs::remove_dir(folder.path().join("answers")).unwrap();
        symlink("/etc", folder.path().join("answers")).unwrap();
        assert!(dir.folder("answers").is_err());
    }
}
