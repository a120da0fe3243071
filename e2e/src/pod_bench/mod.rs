//! Figures of debugEcho's pod on a node, beside the goals that they are held against: calls and changes (`calls`), each beside
//! a floor and a native handler in the same run (`floor`), memory and wake-ups (`costs`), and how soon a container is ready
//! (`starts`). `goals` says what was wanted, and what was found.

mod calls;
mod costs;
mod floor;
mod goals;
mod starts;

use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::Channel;

use crate::cri::Cri;
use crate::demo;
use crate::manifest::{DaemonSet, Env};
use crate::measured_pod::{self, LIMIT, Played};
use crate::node::Node;
use crate::node_stage::NodeStage;
use crate::say::Say;
use crate::watch::Watch;
use floor::Floor;
use goals::Goals;

/// Until a freshly booted containerd can run pods.
const READY: Duration = Duration::from_secs(30);
/// The handler's name.
const NAME: &str = "debugEcho";

/// Measures the debugEcho handler as a pod on a Debian 13 node, portable and compiled ahead of time: first responses and
/// changes beside a bare floor and a native handler of the same run, memory, wake-ups, starts. Needs root.
///
/// Exit codes: 0 all was measured, also where a goal was missed; 1 something could not be measured (the message says what),
/// 2 wrong usage.
#[derive(Debug, clap::Parser)]
#[command(name = "pod-bench", version, max_term_width = 110)]
pub struct Args {
    /// The node: booted if it does not run
    #[arg(long, default_value = "bench-pod")]
    node: String,
    /// The folder with pause.tar, debug-echo.tar, debug-echo-aot.tar and akri-proxy.tar
    #[arg(long, default_value_os_t = demo::checkout().join("target/images"))]
    images: PathBuf,
    /// The program akri-proxy, which plays the agent
    #[arg(long, default_value_os_t = demo::native("akri-proxy"))]
    proxy: PathBuf,
    /// The handler's module, for starts
    #[arg(long, default_value_os_t = demo::checkout().join("target/guest/debug-echo.wasm"))]
    module: PathBuf,
    /// The same, compiled ahead of time
    #[arg(long, default_value_os_t = demo::checkout().join("target/bench/debug-echo.wasm"))]
    compiled: PathBuf,
    /// The same handler as a static program
    #[arg(long, default_value_os_t = demo::native("debug-echo"))]
    native: PathBuf,
    /// Seconds in which both do nothing and are watched
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// The folder of the project's scripts
    #[arg(long, default_value_os_t = demo::checkout().join("scripts"))]
    scripts: PathBuf,
    /// Be the floor, in this folder
    #[arg(long, hide = true)]
    floor: Option<PathBuf>,
}

/// How the handler's module comes to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// As it is for every machine.
    Portable,
    /// With code for this machine.
    Compiled,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Portable => "portable",
            Kind::Compiled => "AOT",
        }
    }
}

/// The pod, and how it is spoken to.
struct Bench {
    stage: NodeStage,
    channel: Channel,
    watch: Watch,
    say: Say,
}

/// Measures, and clears up.
///
/// # Errors
/// With the first thing that could not be measured.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if let Some(folder) = &args.floor {
        return floor::serve(folder).await;
    }
    let say = Say::start();
    let floor = Floor::start().await?;
    let node = Node::up(&args.scripts, &args.node, &say).await?;
    let mut cri = Cri::connect(node.containerd()).await?;
    cri.ready(READY).await?;
    let mut goals = Goals::default();
    let mut stage = NodeStage::of(node, cri, DaemonSet::ours()?)?;
    for (kind, set) in [(Kind::Portable, DaemonSet::ours()?), (Kind::Compiled, DaemonSet::compiled()?)] {
        stage.change(undisturbed(set))?;
        say.step(format_args!("the handler {}", kind.name()));
        let mut bench = Bench::start(&args, stage, say).await?;
        let told = async {
            costs::at_rest(&mut bench, Duration::from_secs(args.idle), kind, &mut goals).await?;
            calls::measure(&mut bench, &floor, kind, &mut goals).await?;
            costs::memory(&mut bench, "after lists of 5,000").await
        };
        let told = told.await;
        stage = bench.end(told).await?;
    }
    starts::measure(&args, &stage.node, &say).await?;
    goals.show(&say);
    let left = stage.node.down().await?;
    say.detail(format_args!("left of the node: {left}"));
    Ok(())
}

/// Without looks that nobody asked for: a minute in which none is due could otherwise not be found.
fn undisturbed(mut set: DaemonSet) -> DaemonSet {
    let never = Env { name: "RESCAN_INTERVAL_SECONDS".to_owned(), value: "0".to_owned() };
    set.spec.template.spec.containers[0].env.push(never);
    set
}

impl Bench {
    async fn start(args: &Args, mut stage: NodeStage, say: Say) -> anyhow::Result<Self> {
        let (details, ids) = (calls::details(2), calls::ids(2));
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let played = Played { proxy: &args.proxy, handler: NAME, details: &details, devices: &ids };
        let (watch, channel) = measured_pod::start(&mut stage, &args.images, played, &say).await?;
        Ok(Self { stage, channel, watch, say })
    }

    async fn end(self, told: anyhow::Result<u64>) -> anyhow::Result<NodeStage> {
        let Self { mut stage, watch, .. } = self;
        measured_pod::end(&mut stage, watch, told).await?;
        Ok(stage)
    }
}
