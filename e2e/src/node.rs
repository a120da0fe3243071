//! The node: drives scripts/edge-node.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::say::Say;

/// In the node's shared folder: it was made by this program, which may take it down again, too.
const MARK: &str = "made-by-e2e";
/// Beside it: locked by the run that uses the node.
const LOCK: &str = "e2e.lock";

/// A running node. Dropping it takes it down, unless it was there before or is to be kept.
#[derive(Debug)]
pub struct Node {
    script: PathBuf,
    paths: Status,
    /// Whether `up` found it running.
    pub reused: bool,
    ours: bool,
    /// One program at a time on a node.
    lock: Option<File>,
}

/// What `edge-node status -o json` says.
#[derive(Clone, Debug, Deserialize)]
struct Status {
    name: String,
    state: String,
    pid: Option<u32>,
    containerd: PathBuf,
    akri: PathBuf,
    share: PathBuf,
}

impl Node {
    /// Where the node has the folder [`Node::share`].
    pub const SHARE: &str = "/share";

    /// Boots the node, or takes the running one of this name.
    ///
    /// # Errors
    /// With what edge-node says; nothing of the node is left then.
    pub async fn up(scripts: &Path, name: &str, say: &Say) -> anyhow::Result<Self> {
        let script = scripts.join("edge-node");
        let before = status(&script, name).await?;
        let reused = before.state == "running";
        let mut child = Command::new(&script)
            .args(["up", "--name", name])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            // The node ends with an `up` that is killed.
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", script.display()))?;
        let mut lines =
            BufReader::new(child.stderr.take().context("edge-node's stderr is not piped")?).lines();
        while let Some(line) = lines.next_line().await? {
            say.detail(line.trim_start_matches("==> "));
        }
        let ended = child.wait().await?;
        if !ended.success() {
            bail!("edge-node up --name {name} failed ({ended})");
        }
        let mut node = Self { script, paths: before, reused, ours: !reused, lock: None };
        node.paths = status(&node.script, name).await?;
        let mark = node.paths.share.join(MARK);
        if !reused {
            File::create(&mark)?;
        }
        let lock = File::create(node.paths.share.join(LOCK))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            node.ours = false;
            bail!("node {name} is in use by another run of this: wait for its end, or take another name");
        }
        node.ours = mark.exists();
        node.lock = Some(lock);
        Ok(node)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.paths.name
    }

    /// containerd's socket, as the host sees it.
    pub fn containerd(&self) -> &Path {
        &self.paths.containerd
    }

    /// The node's `/var/lib/akri`, as the host sees it.
    pub fn akri(&self) -> &Path {
        &self.paths.akri
    }

    /// A file of the node by its path there, as the host sees it.
    ///
    /// # Errors
    /// Where the node ended.
    pub fn file(&self, path: &str) -> anyhow::Result<PathBuf> {
        let pid = self.paths.pid.context("the node has no first process any more")?;
        Ok(PathBuf::from(format!("/proc/{pid}/root{path}")))
    }

    /// Runs a command inside; what it printed.
    ///
    /// # Errors
    /// Where it cannot be run or fails; with what it said.
    pub async fn exec(&self, command: &[&str]) -> anyhow::Result<String> {
        run(&self.script, &[&["exec", "--name", self.name(), "--"], command].concat()).await
    }

    /// Runs a command inside with a file as its standard input.
    ///
    /// # Errors
    /// Where it cannot be run or fails; with what it said.
    pub async fn exec_with(&self, command: &[&str], input: File) -> anyhow::Result<String> {
        let mut with = Command::new(&self.script);
        with.args(["exec", "--name", self.name(), "--"]).args(command).stdin(input);
        output(with).await
    }

    /// A command inside, to be spawned: it ends with its handle. For who has much to say to it.
    pub fn command(&self, command: &[&str]) -> Command {
        let mut spawned = Command::new(&self.script);
        spawned.args(["exec", "--name", self.name(), "--"]).args(command).kill_on_drop(true);
        spawned
    }

    /// A folder of this machine that the node has as [`Node::SHARE`].
    pub fn share(&self) -> &Path {
        &self.paths.share
    }

    /// Whether its end is this program's business.
    pub fn ours(&self) -> bool {
        self.ours
    }

    /// Leaves it running.
    pub fn keep(mut self) {
        self.ours = false;
    }

    /// Shuts it down, with nothing left: the node is asked to count.
    ///
    /// # Errors
    /// Where something could not be ended or is left.
    pub async fn down(mut self) -> anyhow::Result<String> {
        run(&self.script, &["down", "--name", self.name()]).await?;
        self.ours = false;
        let left =
            run(&self.script, &["leftovers", "--name", self.name()]).await.context("something is left")?;
        Ok(left.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        // Also on the way of a panic. There is nobody left to tell of an error but the user.
        let down = std::process::Command::new(&self.script)
            .args(["down", "--name", self.name()])
            .stdin(Stdio::null())
            .status();
        if !down.is_ok_and(|status| status.success()) {
            eprintln!("node {} was not taken down: {} down --name {0}", self.name(), self.script.display());
        }
    }
}

async fn status(script: &Path, name: &str) -> anyhow::Result<Status> {
    let text = run(script, &["status", "--name", name, "-o", "json"]).await?;
    serde_json::from_str(&text).context("edge-node status -o json")
}

async fn run(script: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(script);
    command.args(arguments).stdin(Stdio::null());
    output(command).await
}

async fn output(mut command: Command) -> anyhow::Result<String> {
    let what = format!("{:?}", command.as_std());
    let output = command.kill_on_drop(true).output().await.with_context(|| format!("cannot run {what}"))?;
    if !output.status.success() {
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        bail!("{what} failed ({}): {}", output.status, String::from_utf8_lossy(&said).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
