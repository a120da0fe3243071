//! The real node: programs are processes, containerd is asked through its socket.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::runtime::Runtime;

use super::{Fate, Patience, System, Tree};
use crate::cri::{Cri, CriError, CriState};
use crate::invocation::{Invocation, Ran};

/// The most that is kept of what a program says: `containerd config dump` says a hundredth.
const MAX_SAID: u64 = 2 << 20;
/// Where programs are looked for, whatever the caller's own setting is.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin";

/// A node whose root is a folder of this machine; usually `/`.
#[derive(Debug)]
pub struct Live {
    tree: Tree,
    root: Option<PathBuf>,
    runtime: Runtime,
}

impl Live {
    /// The node whose root this is. With anything but `/`, programs are run by chroot(8), and nothing is restarted.
    ///
    /// # Errors
    /// Where there is no such folder.
    pub fn open(root: &Path, fate: Box<dyn Fate>) -> io::Result<Self> {
        let tree = Tree::open(root, fate)?;
        let root = Some(std::path::absolute(root)?).filter(|root| root != Path::new("/"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { tree, root, runtime })
    }

    /// Waits for what is asked of containerd, one thing at a time.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn command(&self, invocation: &Invocation) -> Command {
        let mut command = match &self.root {
            None => Command::new(&invocation.program),
            Some(root) => {
                let mut command = Command::new("chroot");
                command.arg(root).arg(&invocation.program);
                command
            }
        };
        command
            .args(&invocation.arguments)
            .env("PATH", PATH)
            .env("LC_ALL", "C.UTF-8")
            .envs(invocation.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl System for Live {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn is_live(&self) -> bool {
        self.root.is_none()
    }

    fn run(&self, invocation: &Invocation) -> io::Result<Ran> {
        self.runtime.block_on(async {
            let mut child = self.command(invocation).spawn()?;
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let all = async {
                let (stdout, stderr) = tokio::join!(said(stdout), said(stderr));
                Ok::<_, io::Error>(Ran { stdout: stdout?, stderr: stderr?, code: child.wait().await?.code() })
            };
            match tokio::time::timeout(invocation.limit, all).await {
                Ok(ran) => ran,
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("did not end within {} s", invocation.limit.as_secs()),
                )),
            }
        })
    }

    fn cri(&self, socket: &Path, patience: Patience) -> Result<CriState, CriError> {
        self.runtime.block_on(Cri::state(
            &self.tree.path().join(socket.strip_prefix("/").unwrap_or(socket)),
            patience,
        ))
    }
}

/// What comes, up to the bound; the rest is read and dropped, so that nobody is kept waiting by a full pipe.
async fn said(stream: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let Some(mut stream) = stream else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    (&mut stream).take(MAX_SAID).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Spared;
    use super::*;

    #[test]
    fn programs_are_bounded_in_time_and_speech() {
        let live = Live::open(Path::new("/"), Box::new(Spared)).unwrap();
        let ran = live.run(&Invocation::look("sh", &["-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(3), "out\n", "err\n"));
        let much = live.run(&Invocation::look("head", &["--bytes=5000000", "/dev/zero"])).unwrap();
        assert_eq!((much.code, much.stdout.len() as u64), (Some(0), MAX_SAID));
        let mut long = Invocation::look("sleep", &["60"]);
        long.limit = Duration::from_millis(50);
        assert_eq!(live.run(&long).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            live.run(&Invocation::look("no-such-program", &[])).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
