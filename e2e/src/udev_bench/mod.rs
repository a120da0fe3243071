//! Figures of the udev handler's pod on a node where udevd runs: how soon a plugged device is at the agent and whose time
//! that is (`plug`), what looks cost (`looks`), calls, wake-ups and memory (`costs`).

mod costs;
mod looks;
mod plug;

use std::path::{Path, PathBuf};
use std::time::Duration;

use akri_proxy::pb::discovery_handler_client::DiscoveryHandlerClient;
use akri_sysfs::Places;
use anyhow::Context;
use tonic::transport::Channel;

use crate::cri::Cri;
use crate::demo;
use crate::loops::{Loops, START_UDEVD};
use crate::manifest::{DaemonSet, Env};
use crate::node::Node;
use crate::node_stage::NodeStage;
use crate::say::Say;
use crate::stage::Stage;
use crate::story;
use crate::uds;
use crate::wait;
use crate::watch::Watch;

/// Until a freshly booted containerd can run pods.
const READY: Duration = Duration::from_secs(30);
/// For what takes milliseconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// The handler's name.
const NAME: &str = "udev";

/// Measures the udev handler as a pod on a Debian 13 node: from plugging in to the agent, looks by rule beside a native floor of the same run, system calls, wake-ups, memory. Needs root.
///
/// Exit codes: 0 all was measured, 1 something could not be (the message says what), 2 wrong usage.
#[derive(Debug, clap::Parser)]
#[command(name = "udev-bench", version, max_term_width = 110)]
pub struct Args {
    /// The node: booted if it does not run
    #[arg(long, default_value = "bench-udev")]
    node: String,
    /// The folder with pause.tar, udev.tar and akri-proxy.tar
    #[arg(long, default_value_os_t = demo::checkout().join("target/images"))]
    images: PathBuf,
    /// The program akri-proxy, which plays the agent
    #[arg(long, default_value_os_t = demo::native("akri-proxy"))]
    proxy: PathBuf,
    /// The folder of the project's scripts
    #[arg(long, default_value_os_t = demo::checkout().join("scripts"))]
    scripts: PathBuf,
}

/// The pod, and how it is spoken to.
pub(crate) struct Bench {
    pub(crate) stage: NodeStage,
    pub(crate) channel: Channel,
    pub(crate) watch: Watch,
    /// Where this program sees what the handler sees.
    pub(crate) places: Places,
    pub(crate) say: Say,
}

/// Measures, and clears up.
///
/// # Errors
/// With the first thing that could not be measured.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let say = Say::start();
    let loops = Loops::open().context("there are no loop devices to plug in")?;
    let node = Node::up(&args.scripts, &args.node, &say).await?;
    node.exec(&["sh", "-ec", START_UDEVD]).await?;
    let mut cri = Cri::connect(node.containerd()).await?;
    cri.ready(READY).await?;
    let udev = node.file("/run/udev")?;

    say.step("the machine's own devices, the handler interpreted");
    let stage = NodeStage::of(node, cri, immediate(DaemonSet::udev()?))?;
    let real = Places { sys: PathBuf::from("/sys"), udev };
    let mut bench = Bench::start(&args, stage, real, say).await?;
    let told = async {
        plug::measure(&mut bench, &loops).await?;
        looks::machine(&mut bench).await?;
        costs::measure(&mut bench).await
    };
    let told = told.await;
    let stage = bench.end(told).await?;
    let left = stage.node.down().await?;
    say.detail(format_args!("left of the node: {left}"));
    Ok(())
}

/// Removals are told at once: nobody wants to measure the grace time.
fn immediate(mut set: DaemonSet) -> DaemonSet {
    let grace = Env { name: "REMOVAL_GRACE_MILLISECONDS".to_owned(), value: "0".to_owned() };
    set.spec.template.spec.containers[0].env.push(grace);
    set
}

impl Bench {
    /// Starts the pod, and an agent to which it registers.
    async fn start(args: &Args, mut stage: NodeStage, places: Places, say: Say) -> anyhow::Result<Self> {
        demo::prepare(&args.images, &mut stage, &say).await?;
        let program = args.proxy.clone().into();
        let details = "udevRules: ['SUBSYSTEM==\"none\"']";
        let mut watch = Watch::start(&program, stage.akri(), NAME, details, say).await?;
        demo::start_pod(&mut stage, &say).await?;
        if let Err(error) = watch.until(&[], LIMIT).await {
            story::confess(&stage);
            return Err(error);
        }
        let endpoint = stage.status().await?.endpoint.context("the proxy has no endpoint")?;
        let file = Path::new(&endpoint).file_name().context("the endpoint is no socket")?;
        let channel = uds::connect(&stage.akri().join(file)).await?;
        Ok(Self { stage, channel, watch, places, say })
    }

    pub(crate) fn client(&self) -> DiscoveryHandlerClient<Channel> {
        DiscoveryHandlerClient::new(self.channel.clone())
    }

    async fn end(self, told: anyhow::Result<()>) -> anyhow::Result<NodeStage> {
        let Self { mut stage, watch, .. } = self;
        if let Err(error) = told {
            story::confess(&stage);
            return Err(error);
        }
        watch.stop().await?;
        stage.clear().await?;
        wait::until("the pod is gone", LIMIT, async || Ok((stage.clear().await? == 0).then_some(()))).await?;
        Ok(stage)
    }
}
