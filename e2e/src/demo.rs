//! The program `demo`: sets the stage, has the story told, clears up, whatever happened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use akri_proxy::shutdown::signalled;
use anyhow::Context;
use thiserror::Error;

use crate::cri::Cri;
use crate::manifest::Configuration;
use crate::node::Node;
use crate::node_stage::NodeStage;
use crate::process::Program;
use crate::process_stage::{ProcessStage, Programs};
use crate::say::{Say, bytes};
use crate::stage::{Part, Stage};
use crate::watch::Watch;
use crate::{images, inspect, measure, story};

/// Until a freshly booted containerd can run pods.
const READY: Duration = Duration::from_secs(30);
/// Until all containers of a pod are removed.
const CLEARED: Duration = Duration::from_secs(30);

/// Shows the whole: a discovery handler in WebAssembly and its proxy as one pod on a real Debian 13 node, Akri's agent
/// played beside it, devices coming and going, and the handler killed.
///
/// Each thing that is said to be seen is asserted. Without root, or with --no-node, the same handler and proxy run as
/// two processes instead.
///
/// Exit codes: 0 all was seen, 1 something was not (the message says what), 2 wrong usage.
#[derive(Debug, clap::Parser)]
#[command(name = "demo", version, max_term_width = 110)]
pub struct Args {
    /// The node: booted if it does not run
    #[arg(long, default_value = "demo")]
    pub node: String,
    /// Leave the node running, for a quicker next time
    #[arg(long)]
    pub keep: bool,
    /// Without a node: two processes
    #[arg(long)]
    pub no_node: bool,
    /// Take figures, too: memory, wake-ups, latencies (some 25 s more)
    #[arg(long)]
    pub measure: bool,
    /// The folder with pause.tar, debug-echo.tar and akri-proxy.tar
    #[arg(long, default_value_os_t = built("images"))]
    pub images: PathBuf,
    /// The program akri-proxy, static
    #[arg(long, default_value_os_t = native("akri-proxy"))]
    pub proxy: PathBuf,
    /// Runs akri-proxy, which is another architecture's: qemu-aarch64, for instance. For --no-node
    #[arg(long, requires = "no_node", value_name = "PROGRAM")]
    pub emulator: Option<PathBuf>,
    /// The engine's command line, for --no-node [default: wasmedge among the scripts]
    #[arg(long, requires = "no_node", value_name = "PROGRAM")]
    pub wasmedge: Option<PathBuf>,
    /// The handler's module, for --no-node
    #[arg(long, default_value_os_t = built("guest/debug-echo.wasm"))]
    pub module: PathBuf,
    /// The folder of the project's scripts
    #[arg(long, default_value_os_t = checkout().join("scripts"))]
    pub scripts: PathBuf,
}

impl Args {
    /// `akri-proxy`, and how it is run.
    pub fn proxy(&self) -> Program {
        Program { file: self.proxy.clone(), emulator: self.emulator.clone() }
    }
}

/// The checkout that this was built from.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned()
}

/// What the recipes have built.
fn built(path: &str) -> PathBuf {
    checkout().join("target").join(path)
}

/// What the recipes have built for this machine's platform.
pub fn native(program: &str) -> PathBuf {
    built("native").join(format!("linux-{}", architecture(std::env::consts::ARCH))).join(program)
}

/// An architecture in the words of images, which are Go's.
fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Runs the demo to its end, and clears up however it ends.
///
/// # Errors
/// With the first thing that was not as it should be.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let say = Say::start();
    let told = if args.no_node {
        processes(&args, &say).await
    } else if rustix::process::geteuid().is_root() {
        node(&args, &say).await
    } else {
        say.step("not root, so there can be no node: the same handler and proxy run as processes instead");
        processes(&args, &say).await
    };
    if told.is_ok() {
        say.step("done: all that was said was seen");
    }
    told
}

/// On a node.
async fn node(args: &Args, say: &Say) -> anyhow::Result<()> {
    say.step(format_args!(
        "a Debian 13 node: {} up --name {}",
        args.scripts.join("edge-node").display(),
        args.node
    ));
    let node = interruptible(Node::up(&args.scripts, &args.node, say)).await?;
    let (ours, name) = (node.ours(), node.name().to_owned());
    // From here on the node goes down with its owner, also on the way of a panic.
    let mut stage = interruptible(async {
        let mut cri = Cri::connect(node.containerd()).await?;
        cri.ready(READY).await?;
        say.step(format_args!(
            "{}{}",
            cri.version().await?,
            if node.reused { " (the node was there)" } else { "" }
        ));
        NodeStage::new(node, cri)
    })
    .await?;
    let told = interruptible(on_node(args, &mut stage, say)).await;
    confess(&told, &stage);
    say.step("clearing up");
    let cleared =
        tokio::time::timeout(CLEARED, stage.clear()).await.context("containerd does not remove the pod");
    let down = if args.keep || !ours {
        stage.node.keep();
        say.detail(format_args!("node {name} stays: scripts/edge-node down --name {name} ends it"));
        Ok(())
    } else {
        stage.node.down().await.map(|left| say.detail(format_args!("left of node {name}: {left}")))
    };
    told.and(cleared?.map(drop)).and(down)
}

async fn on_node(args: &Args, stage: &mut NodeStage, say: &Say) -> anyhow::Result<()> {
    prepare(&args.images, stage, say).await?;
    let configuration = Configuration::ours()?;
    let mut watch = agent(args, stage, &configuration, say).await?;
    start_pod(stage, say).await?;
    rest(args, stage, &mut watch, &configuration, say).await?;
    inspect::show(stage, say).await?;
    end(stage, watch, say).await
}

/// Imports the images, and removes what an earlier run may have left.
///
/// # Errors
/// With what the node or containerd says.
pub async fn prepare(folder: &Path, stage: &mut NodeStage, say: &Say) -> anyhow::Result<()> {
    let removed = stage.clear().await?;
    if removed > 0 {
        say.detail(format_args!("{removed} pod(s) of an earlier run removed"));
    }
    let mut rows = Vec::new();
    let mut names = vec![images::PAUSE.to_owned()];
    names.extend(stage.images().map(str::to_owned));
    say.step(format_args!("images from {}", folder.display()));
    for name in names {
        let mut cri = stage.cri();
        let image = images::import(&stage.node, &mut cri, folder, &name).await?;
        rows.push([image.name, image.digest, bytes(image.archive_bytes), bytes(image.bytes)]);
    }
    say.table(["IMAGE", "DIGEST", "ARCHIVE", "HERE"], &rows);
    Ok(())
}

/// Plays Akri's agent for a Configuration.
async fn agent(
    args: &Args,
    stage: &impl Stage,
    configuration: &Configuration,
    say: &Say,
) -> anyhow::Result<Watch> {
    let handler = &configuration.spec.discovery_handler;
    let details = &handler.discovery_details;
    say.step(format_args!(
        "akri-proxy discover --watch --directory {}   (Akri's agent, played)",
        stage.akri().display()
    ));
    Watch::start(&args.proxy(), stage.akri(), &handler.name, details, *say).await
}

/// Sandbox and both containers.
///
/// # Errors
/// With what the node or containerd says.
pub async fn start_pod(stage: &mut NodeStage, say: &Say) -> anyhow::Result<()> {
    stage.start_sandbox().await?;
    say.step(format_args!(
        "pod {}, as its DaemonSet below runtimeclass/ has it: its sandbox runs under {}",
        stage.pod().name(),
        stage.pod().spec().runtime_class_name
    ));
    for part in [Part::Handler, Part::Proxy] {
        stage.start(part).await?;
        let process = stage.process(part).await?;
        let user = process.users()?.first().copied().unwrap_or_default();
        say.step(format_args!("container {} runs {:?} as user {user}", part.name(), process.command()));
    }
    Ok(())
}

/// The story and, if wanted, figures.
async fn rest(
    args: &Args,
    stage: &mut impl Stage,
    watch: &mut Watch,
    configuration: &Configuration,
    say: &Say,
) -> anyhow::Result<()> {
    let devices = story::devices(configuration)?;
    let ids: Vec<&str> = devices.iter().map(String::as_str).collect();
    story::tell(stage, watch, &ids, say).await?;
    if args.measure {
        let details = &configuration.spec.discovery_handler.discovery_details;
        measure::measure(stage, details, watch.first_list(), say).await?;
    }
    Ok(())
}

/// The agent leaves, then handler and proxy do.
async fn end(stage: &mut impl Stage, watch: Watch, say: &Say) -> anyhow::Result<()> {
    watch.stop().await?;
    say.step("handler and proxy are ended");
    say.detail(stage.leave().await?);
    Ok(())
}

/// Without a node.
async fn processes(args: &Args, say: &Say) -> anyhow::Result<()> {
    let programs = Programs {
        wasmedge: args.wasmedge.clone().unwrap_or_else(|| args.scripts.join("wasmedge")),
        proxy: args.proxy(),
        module: args.module.clone(),
    };
    let mut stage = ProcessStage::new(programs)?;
    let told = interruptible(on_processes(args, &mut stage, say)).await;
    confess(&told, &stage);
    told
}

async fn on_processes(args: &Args, stage: &mut ProcessStage, say: &Say) -> anyhow::Result<()> {
    say.step(format_args!("the engine: {}", stage.engine().await?));
    let configuration = Configuration::ours()?;
    let mut watch = agent(args, stage, &configuration, say).await?;
    for part in [Part::Handler, Part::Proxy] {
        stage.start(part)?;
        say.step(format_args!("{} runs", part.name()));
    }
    rest(args, stage, &mut watch, &configuration, say).await?;
    end(stage, watch, say).await
}

/// What both parts said last, where something went wrong by itself.
fn confess<T>(told: &anyhow::Result<T>, stage: &impl Stage) {
    if told.as_ref().is_err_and(|error| !error.is::<Stopped>()) {
        story::confess(stage);
    }
}

/// The user wants no more.
#[derive(Debug, Error)]
#[error("{0}: stopped before the end")]
struct Stopped(&'static str);

/// Ends early, with an error, when the user wants it.
async fn interruptible<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        done = work => done,
        signal = signalled() => Err(Stopped(signal?).into()),
    }
}
