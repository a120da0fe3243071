//! Where the story happens.

use std::path::{Path, PathBuf};

use akri_proxy::state::State;
use anyhow::Context;

use crate::process::Process;

/// The two halves of a discovery handler in WebAssembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The wasm half.
    Handler,
    /// The native half.
    Proxy,
}

impl Part {
    /// The name of its container.
    pub fn name(self) -> &'static str {
        match self {
            Part::Handler => "handler",
            Part::Proxy => "proxy",
        }
    }
}

/// A handler and its proxy, however they run.
#[allow(async_fn_in_trait, reason = "one thread: nobody needs the futures to be Send")]
pub trait Stage {
    /// Akri's directory, as seen from here.
    fn akri(&self) -> &Path;

    /// The exchange directory, as seen from here.
    ///
    /// # Errors
    /// Where it is gone.
    fn exchange(&self) -> anyhow::Result<PathBuf>;

    /// Where commands run, as a remark.
    fn place(&self) -> &'static str;

    /// Runs `akri-proxy` where the proxy runs; its output.
    ///
    /// # Errors
    /// Where it fails; with what it said.
    async fn proxy(&mut self, arguments: &[&str]) -> anyhow::Result<String>;

    /// Kills the handler by SIGKILL, and waits until it is gone; what was seen.
    ///
    /// # Errors
    /// Where it did not go.
    async fn kill_handler(&mut self) -> anyhow::Result<String>;

    /// Starts the handler again; what was done.
    ///
    /// # Errors
    /// Where it cannot be started.
    async fn start_handler(&mut self) -> anyhow::Result<String>;

    /// The process of a part.
    ///
    /// # Errors
    /// Where it has none.
    async fn process(&mut self, part: Part) -> anyhow::Result<Process>;

    /// What the part is charged for, in bytes: in all, and without what could be had back at once. `None` where nobody
    /// counts.
    ///
    /// # Errors
    /// Where it is counted, but cannot be read.
    async fn charged(&mut self, part: Part) -> anyhow::Result<Option<(u64, u64)>>;

    /// Ends both as the kubelet ends a pod; what was seen.
    ///
    /// # Errors
    /// Where they did not end by themselves within their grace time, or not well.
    async fn leave(&mut self) -> anyhow::Result<String>;

    /// The last lines that a part has printed, for when something went wrong.
    fn said(&self, part: Part) -> String;

    /// What the proxy says of itself.
    ///
    /// # Errors
    /// Where it does not.
    async fn status(&mut self) -> anyhow::Result<State> {
        let text = self.proxy(&["status", "-o", "json"]).await?;
        serde_json::from_str(&text).context("akri-proxy status -o json")
    }
}

/// The last lines of a log.
pub(crate) fn tail(path: &Path) -> String {
    const LINES: usize = 15;
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
