//! Runs this program on the host of the container that it is in.
//!
//! Not in the container's cgroup, for `apply` restarts containerd, and that may end the container in the middle; but as a unit of
//! the host's systemd, which goes on whatever becomes of the container. What the unit says is in a file that the container
//! follows, never in a pipe that may break.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::NamedTempFile;

/// Where the program is kept on the host, as by scripts/install-node.sh: for the person there, and for the next run.
const KEPT: &str = "/usr/local/bin/wasm-node";
/// One unit for all commands: they never run side by side.
const UNIT: &str = "wasm-node-on-host.service";
/// What the unit says; in memory, and root's alone.
const LOG_FOLDER: &str = "/run/wasm-node";
/// That systemd is who runs the host: sd_booted(3).
const BOOTED: &str = "/run/systemd/system";
/// How often the log and another run are looked at: for a person who follows.
const PAUSE: Duration = Duration::from_millis(100);
/// How long another container's run is waited for: longer than an installation may take.
const MAX_WAIT: Duration = Duration::from_secs(2400);
/// The most that is taken from the log at once, in bytes.
const CHUNK: u64 = 64 * 1024;

/// Why nothing was run on the host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// There is no other host to be seen.
    #[error(
        "process 1 has the same files as this one: in a pod, hostPID: true is missing; on the host itself, leave on-host out"
    )]
    SameHost,
    /// The container may not.
    #[error(
        "cannot enter the host's mount namespace: the container needs hostPID: true, user 0, the capabilities SYS_ADMIN, \
         SYS_CHROOT and SYS_PTRACE, and no AppArmor profile (runtimeclass/node has them all)"
    )]
    Denied(#[source] io::Error),
    /// Whatever else runs the host.
    #[error(
        "the host is not run by systemd: run `wasm-node` on the host itself, as scripts/install-node.sh does"
    )]
    NoSystemd,
    /// The program cannot be put there.
    #[error("cannot keep this program on the host as {path}")]
    Keep {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The log cannot be made or read.
    #[error("cannot follow the run by {path}")]
    Log {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// systemd's programs cannot be run.
    #[error("cannot run the host's {0}")]
    Systemd(&'static str, #[source] io::Error),
    /// Another one does not end.
    #[error("{UNIT} still runs on the host: see `systemctl status {UNIT}` there")]
    Busy,
}

/// Runs this program with these arguments on the host, and prints what it says; its exit status.
///
/// # Errors
/// Where it cannot be run there. What it does there is told by the status.
pub fn run(arguments: &[OsString], say: &mut dyn FnMut(&str)) -> Result<ExitStatus, HostError> {
    let program = enter()?;
    if !Path::new(BOOTED).is_dir() {
        return Err(HostError::NoSystemd);
    }
    keep(program, Path::new(KEPT))
        .map_err(|source| HostError::Keep { path: KEPT.into(), source })?
        .then(|| say(&format!("kept this program on the host: {KEPT}")));
    wait_for_another(say)?;
    follow(arguments)
}

/// Changes to the host's files, and brings this program along.
fn enter() -> Result<File, HostError> {
    let own = fs::metadata("/proc/self/ns/mnt").map_err(HostError::Denied)?;
    let host = fs::metadata("/proc/1/ns/mnt").map_err(HostError::Denied)?;
    if (own.dev(), own.ino()) == (host.dev(), host.ino()) {
        return Err(HostError::SameHost);
    }
    let program = File::open("/proc/self/exe").map_err(HostError::Denied)?;
    let namespace = File::open("/proc/1/ns/mnt").map_err(HostError::Denied)?;
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Mount))
        .map_err(|error| HostError::Denied(error.into()))?;
    Ok(program)
}

/// Whether the program had to be written: it was not there, or another one was.
fn keep(mut program: File, path: &Path) -> io::Result<bool> {
    let mut bytes = Vec::new();
    program.read_to_end(&mut bytes)?;
    // What is no file of this size need not be read.
    let there = fs::symlink_metadata(path).is_ok_and(|there| {
        there.is_file() && there.len() == bytes.len() as u64 && there.permissions().mode() & 0o777 == 0o755
    });
    if there && fs::read(path)? == bytes {
        return Ok(false);
    }
    let folder = path.parent().expect("the path has a folder");
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(0o755))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(true)
}

/// Until the run ends that an earlier container of the pod began.
fn wait_for_another(say: &mut dyn FnMut(&str)) -> Result<(), HostError> {
    let mut waited = Duration::ZERO;
    while is_active()? {
        if waited.is_zero() {
            say("another run goes on on the host: waiting for its end");
        }
        if waited >= MAX_WAIT {
            return Err(HostError::Busy);
        }
        sleep(PAUSE);
        waited += PAUSE;
    }
    Ok(())
}

fn is_active() -> Result<bool, HostError> {
    let ran = Command::new("systemctl")
        .args(["is-active", "--quiet", UNIT])
        .status()
        .map_err(|error| HostError::Systemd("systemctl", error))?;
    Ok(ran.success())
}

/// Has systemd run it, and prints what it says until it has ended.
fn follow(arguments: &[OsString]) -> Result<ExitStatus, HostError> {
    let log = PathBuf::from(LOG_FOLDER).join("on-host.log");
    let failed = |source| HostError::Log { path: log.clone(), source };
    let mut written = new_log(&log).map_err(failed)?;
    let mut run = Command::new("systemd-run")
        .args(["--quiet", "--wait", "--collect", "--service-type=exec"])
        .arg(format!("--unit={UNIT}"))
        .arg(format!("--property=StandardOutput=append:{}", log.display()))
        .arg(format!("--property=StandardError=append:{}", log.display()))
        .arg(format!("--description=wasm-node {}", arguments.join(" ".as_ref()).to_string_lossy()))
        .args(["--", KEPT])
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| HostError::Systemd("systemd-run", error))?;
    loop {
        // Asked before the log is read: what was written before the end is printed.
        let ended = run.try_wait().map_err(|error| HostError::Systemd("systemd-run", error))?;
        while print_more(&mut written).map_err(failed)? {}
        if let Some(status) = ended {
            return Ok(status);
        }
        sleep(PAUSE);
    }
}

/// An empty log, where an earlier one may be.
fn new_log(path: &Path) -> io::Result<File> {
    let folder = path.parent().expect("the log has a folder");
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().read(true).append(true).create_new(true).open(path)
}

/// Prints what is new in the log, as far as anybody listens; whether there was anything.
fn print_more(log: &mut File) -> io::Result<bool> {
    let mut chunk = Vec::new();
    log.take(CHUNK).read_to_end(&mut chunk)?;
    let mut output = io::stdout().lock();
    // Whoever followed may have gone: the run goes on all the same.
    let _ = output.write_all(&chunk).and_then(|()| output.flush());
    Ok(!chunk.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bin/wasm-node");
        let program = || File::open("/proc/self/exe").unwrap();
        assert!(keep(program(), &path).unwrap());
        assert!(!keep(program(), &path).unwrap());
        // Another program, and one that nobody may run, are replaced.
        fs::write(&path, "another").unwrap();
        assert!(keep(program(), &path).unwrap());
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(keep(program(), &path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), fs::read("/proc/self/exe").unwrap());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_log_begins_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/log");
        for _ in 0..2 {
            let mut log = new_log(&path).unwrap();
            assert!(!print_more(&mut log).unwrap());
            fs::write(&path, "said\n").unwrap();
            assert!(print_more(&mut log).unwrap());
            assert!(!print_more(&mut log).unwrap());
        }
    }
}
