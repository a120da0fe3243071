//! The directories, and what is done to them: a file system of their own that can be filled, modes that forbid, folders
//! that vanish.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use akri_exchange::layout;
use anyhow::{Context, bail};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// As much as the pod's exchange may have, in bytes, and few enough inodes to be used up quickly.
const TMPFS: &std::ffi::CStr = c"size=16m,nr_inodes=2000,mode=0755";
/// The input that debugEcho watches, and what takes its devices away.
pub(super) const AVAILABILITY: &str = "availability";
const OFFLINE: &str = "OFFLINE";
/// Where the kernel says how many events an inotify instance holds.
const QUEUE: &str = "/proc/sys/fs/inotify/max_queued_events";

/// Akri's directory, and the root of the handler's file system with the exchange in it.
#[derive(Debug)]
pub(super) struct Place {
    folder: TempDir,
    /// Whether the root is a file system of its own, which can be filled.
    pub(super) own_file_system: bool,
    modes: Vec<(PathBuf, fs::Permissions)>,
}

impl Place {
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("akri-wasm-faults-").tempdir()?;
        for name in ["akri", "root"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let root = folder.path().join("root");
        let mounted = mount("faults", &root, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, TMPFS);
        let place = Self { folder, own_file_system: mounted.is_ok(), modes: Vec::new() };
        fs::create_dir(place.exchange())?;
        Ok(place)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn akri(&self) -> PathBuf {
        self.folder().join("akri")
    }

    /// The root of the handler's file system.
    pub(super) fn root(&self) -> PathBuf {
        self.folder().join("root")
    }

    pub(super) fn exchange(&self) -> PathBuf {
        self.root().join(layout::DEFAULT_DIRECTORY.trim_start_matches('/'))
    }

    /// Takes the devices away, or brings them back. Whether it could be written: the folder may not be there yet.
    pub(super) fn set_devices(&self, there: bool) -> bool {
        let inputs = self.exchange().join(layout::INPUTS);
        let temporary = inputs.join(layout::temporary(AVAILABILITY, "faults"));
        fs::write(&temporary, if there { "" } else { OFFLINE }).is_ok()
            && fs::rename(temporary, inputs.join(AVAILABILITY)).is_ok()
    }

    /// Writes until there is no room left.
    pub(super) fn fill(&self) -> anyhow::Result<()> {
        let mut file = fs::File::create(self.root().join("filler"))?;
        let mut block = vec![0; 64 * 1024];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() != ErrorKind::StorageFull => return Err(error.into()),
                // The last bytes one by one.
                Err(_) if block.len() > 1 => block.truncate(block.len() / 2),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Makes files until no more can be made.
    pub(super) fn fill_inodes(&self) -> anyhow::Result<()> {
        let folder = self.root().join("fillers");
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            made => made?,
        }
        for n in 0.. {
            match fs::File::create(folder.join(n.to_string())) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Room again.
    pub(super) fn free(&self) -> anyhow::Result<()> {
        for result in
            [fs::remove_file(self.root().join("filler")), fs::remove_dir_all(self.root().join("fillers"))]
        {
            match result {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Nothing can be made, replaced or removed in any folder of the exchange.
    pub(super) fn make_read_only(&mut self) {
        let mut folders = vec![self.exchange()];
        while let Some(folder) = folders.pop() {
            let Ok(metadata) = fs::symlink_metadata(&folder) else { continue };
            if !metadata.is_dir() {
                continue;
            }
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            folders.extend(entries.map(|entry| entry.path()));
            if fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).is_ok() {
                self.modes.push((folder, metadata.permissions()));
            }
        }
    }

    /// As before.
    pub(super) fn make_writable(&mut self) {
        for (folder, mode) in std::mem::take(&mut self.modes) {
            // It may be gone by now.
            let _ = fs::set_permissions(folder, mode);
        }
    }

    /// Removes everything in the exchange, also what is made anew meanwhile, until it was empty once.
    pub(super) fn empty(&self) -> anyhow::Result<()> {
        self.remove_in(&self.exchange())
    }

    /// Removes the exchange itself and makes another one after a while.
    pub(super) async fn replace(&self, after: Duration) -> anyhow::Result<()> {
        const TRIES: u32 = 1000;
        for _ in 0..TRIES {
            self.remove_in(&self.exchange())?;
            if fs::remove_dir(self.exchange()).is_ok() {
                tokio::time::sleep(after).await;
                return fs::create_dir(self.exchange()).context("cannot make the exchange anew");
            }
        }
        bail!("the exchange is filled faster than it can be emptied")
    }

    fn remove_in(&self, folder: &Path) -> anyhow::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
            // Gone already, or filled again by its owner: either is life.
            let _ = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
        Ok(())
    }

    /// Makes more events in the exchange than the kernel keeps. Only where nobody reads them meanwhile.
    pub(super) fn flood(&self) -> anyhow::Result<()> {
        let most: usize = fs::read_to_string(QUEUE)?.trim().parse()?;
        let inputs = self.exchange().join(layout::INPUTS);
        let names = [inputs.join(".flood-a"), inputs.join(".flood-b")];
        if fs::write(&names[0], "").is_err() {
            return Ok(());
        }
        // Each makes two, of one that goes and one that comes.
        for n in 0..=most / 2 {
            fs::rename(&names[n % 2], &names[(n + 1) % 2])?;
        }
        names.iter().for_each(|name| drop(fs::remove_file(name)));
        Ok(())
    }

    /// What is in a directory, folders followed, as sorted relative paths.
    pub(super) fn tree(of: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![of.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else {
                    found.extend(path.strip_prefix(of).ok().map(|path| path.display().to_string()));
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.make_writable();
        if self.own_file_system {
            // In a mount namespace of its own it goes with the last process anyway.
            let _ = unmount(self.root(), UnmountFlags::DETACH);
        }
    }
}
