//! A process as `/proc` shows it, and how one is started that does not outlive us.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::process::Command;

/// A process.
#[derive(Clone, Debug)]
pub struct Process {
    dir: PathBuf,
}

impl Process {
    /// The process of this number in a `/proc`, which may be another PID namespace's.
    pub fn new(proc: &Path, pid: u32) -> Self {
        Self { dir: proc.join(pid.to_string()) }
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.dir.exists()
    }

    /// What it says that it runs.
    pub fn command(&self) -> String {
        let bytes = std::fs::read(self.dir.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
    }

    /// Whether it has a file mapped whose name holds this.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn maps(&self, name: &str) -> anyhow::Result<bool> {
        let path = self.dir.join("maps");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text.lines().any(|line| line.contains(name)))
    }

    /// The user that it runs as: real, effective, saved, file system.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn users(&self) -> anyhow::Result<Vec<u32>> {
        let text = self.field("Uid")?;
        text.split_whitespace().map(|uid| uid.parse().with_context(|| format!("Uid {text:?}"))).collect()
    }

    /// A field of its `status`, for instance `CapEff`.
    ///
    /// # Errors
    /// Where the process is gone or the field is not there.
    pub fn field(&self, name: &str) -> anyhow::Result<String> {
        field(&self.dir, name)
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn rss(&self) -> anyhow::Result<u64> {
        kib("VmRSS", &self.field("VmRSS")?)
    }

    /// Memory that it has mapped, in bytes, whether anything is in it or not.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn mapped(&self) -> anyhow::Result<u64> {
        kib("VmSize", &self.field("VmSize")?)
    }

    /// A field of what its mappings come to together (`smaps_rollup`), for instance `Pss`, in bytes.
    ///
    /// # Errors
    /// Where the process is gone, somebody else's, or the field is not there.
    pub fn rolled_up(&self, name: &str) -> anyhow::Result<u64> {
        kib(name, &field_of(&self.dir.join("smaps_rollup"), name)?)
    }

    /// Its share of memory, in bytes: what it shares with others counts in parts.
    ///
    /// # Errors
    /// Where the process is gone, or is another user's.
    pub fn pss(&self) -> anyhow::Result<u64> {
        let path = self.dir.join("smaps_rollup");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        let kib: u64 =
            line.trim().trim_end_matches("kB").trim().parse().with_context(|| format!("Pss {line:?}"))?;
        Ok(kib * 1024)
    }

    /// Whether it has executable memory that is of no file: native code that was made, or unpacked, at run time.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn has_unfiled_code(&self) -> anyhow::Result<bool> {
        let path = self.dir.join("maps");
        let maps =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(maps.lines().any(|line| {
            let mut fields = line.split_whitespace();
            let executable = fields.nth(1).is_some_and(|rights| rights.contains('x'));
            // After the rights come offset, device and inode, and then the file's name or the kernel's word.
            executable && fields.nth(3).is_none()
        }))
    }

    /// How often its threads have given the processor away by themselves: once for each wake-up.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn voluntary_switches(&self) -> anyhow::Result<u64> {
        let tasks = self.dir.join("task");
        let mut sum = 0;
        for task in std::fs::read_dir(&tasks).with_context(|| format!("{}", tasks.display()))? {
            let text = field(&task?.path(), "voluntary_ctxt_switches")?;
            sum += text.parse::<u64>().with_context(|| format!("voluntary_ctxt_switches {text:?}"))?;
        }
        Ok(sum)
    }
}

/// A program, and what runs it where this machine cannot.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program's file.
    pub file: PathBuf,
    /// The emulator of its architecture: a program that takes it and its arguments as its own.
    pub emulator: Option<PathBuf>,
}

impl Program {
    /// It, without arguments yet.
    pub(crate) fn command(&self) -> Command {
        match &self.emulator {
            Some(emulator) => {
                let mut command = Command::new(emulator);
                command.arg(&self.file);
                command
            }
            None => Command::new(&self.file),
        }
    }

    /// The same, ending with this process also when this one is killed and cannot clear up.
    pub(crate) fn tied(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).args(&self.emulator).arg(&self.file);
        command
    }
}

impl From<PathBuf> for Program {
    fn from(file: PathBuf) -> Self {
        Self { file, emulator: None }
    }
}

fn field(dir: &Path, name: &str) -> anyhow::Result<String> {
    field_of(&dir.join("status"), name)
}

/// A size as the kernel writes it, `12 kB`, in bytes.
fn kib(name: &str, text: &str) -> anyhow::Result<u64> {
    let kib: u64 = text.trim_end_matches("kB").trim().parse().with_context(|| format!("{name} {text:?}"))?;
    Ok(kib * 1024)
}

/// A line `NAME: VALUE` of a file of `/proc`.
fn field_of(path: &Path, name: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(line.with_context(|| format!("{} has no {name}", path.display()))?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process() {
        let own = Process::new(Path::new("/proc"), std::process::id());
        assert!(own.exists() && own.rss().unwrap() > 100_000);
        assert!((100_000..=own.rss().unwrap()).contains(&own.pss().unwrap()));
        assert_eq!(own.field("Pid").unwrap(), std::process::id().to_string());
        assert!(own.mapped().unwrap() > own.rss().unwrap());
        assert!(own.rolled_up("Anonymous").unwrap() > 100_000);
        assert!(own.voluntary_switches().is_ok() && own.field("Nothing").is_err());
    }
}
