//! The wall around a module: a root of its own in a mount namespace, with its volumes bound into it, and limits of the
//! kernel's. Called in the child, before there is an engine or a thread.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount_bind, mount_change, mount_remount, unmount,
};
use rustix::process::{Resource, Rlimit, chdir, getegid, geteuid, pivot_root, setrlimit};
use rustix::thread::{UnshareFlags, set_no_new_privs, unshare_unsafe};

use super::Access;
use super::child::Mount;

/// What the engine itself may need besides the module's memory: its own code's data, the parsed module, tables.
const ENGINE_BYTES: u64 = 256 << 20;

/// Why there is no wall.
#[derive(Debug)]
pub(super) enum WallError {
    /// The kernel or an administrator does not allow namespaces.
    NotAllowed(String),
    /// This volume cannot be bound.
    Volume(String, io::Error),
}

/// Makes `root` the root of this process, with `volumes` in it. All that was mounted goes with the process.
pub(super) fn enter(root: &Path, volumes: &[Mount]) -> Result<(), WallError> {
    let step = |what: &'static str| {
        move |error: rustix::io::Errno| WallError::NotAllowed(format!("cannot {what}: {error}"))
    };
    isolate()?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(step("make mounts private"))?;
    // pivot_root wants a mount point.
    mount_bind(root, root).map_err(step("bind the root"))?;
    for volume in volumes {
        bind(root, volume).map_err(|error| WallError::Volume(volume.guest.clone(), error))?;
    }
    chdir(root).map_err(step("enter the root"))?;
    pivot_root(".", ".").map_err(step("change the root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(step("leave the old root"))?;
    chdir("/").map_err(step("enter the new root"))
}

/// A mount namespace: of root's own, or, for everyone else, within a user namespace where we are still ourselves.
fn isolate() -> Result<(), WallError> {
    // SAFETY: no table of file descriptors is unshared, and this process has one thread.
    if unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.is_ok() {
        return Ok(());
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    // SAFETY: as above.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }
        .map_err(|error| WallError::NotAllowed(format!("namespaces are not allowed: {error}")))?;
    let write = |file: &str, text: String| {
        fs::write(file, text).map_err(|error| WallError::NotAllowed(format!("cannot write {file}: {error}")))
    };
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    write("/proc/self/gid_map", format!("{group} {group} 1"))
}

fn bind(root: &Path, volume: &Mount) -> io::Result<()> {
    let target = root.join(volume.guest.trim_start_matches('/'));
    mount_bind(&volume.host, &target)?;
    // What is bound keeps its flags: the kernel refuses to lose one within a user namespace.
    let old = statvfs(&target)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV;
    for (have, keep) in [
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if old.contains(have) {
            flags |= keep;
        }
    }
    if volume.access == Access::ReadOnly {
        flags |= MountFlags::RDONLY;
    }
    mount_remount(&target, flags, "")?;
    Ok(())
}

/// Limits that hold for all that this process still does: no privileges to be gained, no core file, and so much memory.
pub(super) fn limit(memory: Option<u64>) -> io::Result<()> {
    set_no_new_privs(true)?;
    let bound = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::Core, bound(0))?;
    if let Some(memory) = memory {
        setrlimit(Resource::Data, bound(memory.saturating_add(ENGINE_BYTES)))?;
    }
    Ok(())
}
