//! Figures of the udev handler's pod on a node where udevd runs: how soon a plugged device is at the agent and whose time
//! that is (`plug`), what looks cost (`looks`), calls, wake-ups and memory (`costs`), and how that grows with the devices
//! (`growth`). All of it for the portable module, which is interpreted, and for the one that was compiled ahead of time. Last
//! the same looks in the engine's own count of instructions (`instructions`), which no other load of the machine changes.

mod costs;
mod growth;
mod instructions;
mod looks;
mod plug;

use std::path::PathBuf;
use std::time::Duration;

use akri_proxy::pb::discovery_handler_client::DiscoveryHandlerClient;
use akri_sysfs::Places;
use anyhow::Context;
use tonic::transport::Channel;

use crate::cri::Cri;
use crate::demo;
use crate::loops::{Loops, START_UDEVD};
use crate::manifest::{DaemonSet, Env};
use crate::measured_pod::{self, LIMIT, Played};
use crate::node::Node;
use crate::node_stage::NodeStage;
use crate::say::Say;
use crate::watch::Watch;

/// Until a freshly booted containerd can run pods.
const READY: Duration = Duration::from_secs(30);
/// The handler's name.
const NAME: &str = "udev";
/// What ends the tag of the image with compiled code, and its archive's name.
const COMPILED: &str = "-aot";

/// Measures the udev handler as a pod on a Debian 13 node: from plugging in to the agent, looks by rule beside a native floor of the same run, system calls, wake-ups, memory; then how a look grows with the devices. Each for the portable and for the compiled handler. Needs root.
///
/// Exit codes: 0 all was measured, 1 something could not be (the message says what), 2 wrong usage.
#[derive(Debug, clap::Parser)]
#[command(name = "udev-bench", version, max_term_width = 110)]
pub struct Args {
    /// The node: booted if it does not run
    #[arg(long, default_value = "bench-udev")]
    node: String,
    /// The folder with pause.tar, udev.tar, udev-aot.tar and akri-proxy.tar; without udev-aot.tar only the portable handler is measured
    #[arg(long, default_value_os_t = demo::checkout().join("target/images"))]
    images: PathBuf,
    /// The handler's module, for the count of instructions
    #[arg(long, default_value_os_t = demo::checkout().join("target/guest/udev.wasm"))]
    module: PathBuf,
    /// The program akri-proxy, which plays the agent
    #[arg(long, default_value_os_t = demo::native("akri-proxy"))]
    proxy: PathBuf,
    /// Only count the instructions of looks, which needs neither root nor a node
    #[arg(long)]
    instructions: bool,
    /// The folder of the project's scripts
    #[arg(long, default_value_os_t = demo::checkout().join("scripts"))]
    scripts: PathBuf,
}

/// Which of the two images of the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// The portable module.
    Interpreted,
    /// The same with this machine's code, compiled ahead of time.
    Compiled,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Code::Interpreted => "interpreted",
            Code::Compiled => "compiled ahead of time",
        }
    }

    /// Its DaemonSet.
    fn handler(self) -> anyhow::Result<DaemonSet> {
        let mut set = immediate(DaemonSet::udev()?);
        if self == Code::Compiled {
            set.spec.template.spec.containers[0].image.push_str(COMPILED);
        }
        Ok(set)
    }
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
    if args.instructions {
        return instructions::measure(&args, &say).await;
    }
    let loops = Loops::open().context("there are no loop devices to plug in")?;
    let node = Node::up(&args.scripts, &args.node, &say).await?;
    node.exec(&["sh", "-ec", START_UDEVD]).await?;
    let mut cri = Cri::connect(node.containerd()).await?;
    cri.ready(READY).await?;
    let udev = node.file("/run/udev")?;

    let mut codes = vec![Code::Interpreted];
    if args.images.join(format!("{NAME}{COMPILED}.tar")).is_file() {
        codes.push(Code::Compiled);
    } else {
        say.detail("without udev-aot.tar only the portable handler is measured");
    }
    let mut stage = NodeStage::of(node, cri, codes[0].handler()?)?;
    for code in codes {
        say.step(format_args!("the machine's own devices, the handler {}", code.name()));
        stage.change(code.handler()?)?;
        let real = Places { sys: PathBuf::from("/sys"), udev: udev.clone() };
        let mut bench = Bench::start(&args, stage, real, say).await?;
        let told = async {
            plug::measure(&mut bench, &loops).await?;
            looks::machine(&mut bench).await?;
            costs::measure(&mut bench).await
        };
        let told = told.await;
        stage = bench.end(told).await?;

        say.step(format_args!("many devices, the handler {}", code.name()));
        stage.change(growth::on_folder(code.handler()?))?;
        let mut folder = growth::Folder::on(&stage.node)?;
        let mut bench = Bench::start(&args, stage, folder.places(), say).await?;
        let told = async {
            growth::measure(&mut bench, &mut folder).await?;
            costs::memory(&mut bench).await
        };
        let told = told.await;
        stage = bench.end(told).await?;
        folder.remove()?;
    }
    let left = stage.node.down().await?;
    say.detail(format_args!("left of the node: {left}"));
    instructions::measure(&args, &say).await
}

/// Removals are told at once: nobody wants to measure the grace time.
fn immediate(mut set: DaemonSet) -> DaemonSet {
    let grace = Env { name: "REMOVAL_GRACE_MILLISECONDS".to_owned(), value: "0".to_owned() };
    set.spec.template.spec.containers[0].env.push(grace);
    set
}

impl Bench {
    async fn start(args: &Args, mut stage: NodeStage, places: Places, say: Say) -> anyhow::Result<Self> {
        let details = "udevRules: ['SUBSYSTEM==\"none\"']";
        let played = Played { proxy: &args.proxy, handler: NAME, details, devices: &[] };
        let (watch, channel) = measured_pod::start(&mut stage, &args.images, played, &say).await?;
        Ok(Self { stage, channel, watch, places, say })
    }

    pub(crate) fn client(&self) -> DiscoveryHandlerClient<Channel> {
        DiscoveryHandlerClient::new(self.channel.clone())
    }

    async fn end(self, told: anyhow::Result<()>) -> anyhow::Result<NodeStage> {
        let Self { mut stage, watch, .. } = self;
        measured_pod::end(&mut stage, watch, told).await?;
        Ok(stage)
    }
}
