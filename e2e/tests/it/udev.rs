//! The udev handler's pod on a node where udevd runs: real devices, plugged in and taken away.

use std::time::{Duration, Instant};

use e2e::cri::Cri;
use e2e::loops::{self, Loops, START_UDEVD, id};
use e2e::manifest::{DaemonSet, Env};
use e2e::node::Node;
use e2e::node_stage::NodeStage;
use e2e::say::{Say, ms};
use e2e::stage::Stage;
use e2e::watch::Watch;
use e2e::{demo, images, story};

use crate::broker::Broker;
use crate::support::{absent, arguments, skipped};

/// Not another test's: they may run at the same time.
const NODE: &str = "e2e-udev";
const READY: Duration = Duration::from_secs(30);
/// Until the agent has heard of a device. Far below the interval at which the handler looks by itself, which is 60 s: what
/// comes in time came by a wake-up.
const HEARD: Duration = Duration::from_secs(5);
/// How often a device is plugged in and taken away.
const CYCLES: usize = 100;
/// Numbers of loop devices that nobody else has.
const FIRST: usize = 4200;

#[tokio::test]
async fn devices_are_plugged_in_and_taken_away() {
    let args = arguments(NODE);
    let root = rustix::process::geteuid().is_root();
    let files = [images::PAUSE, "udev", "udev-broker", "akri-proxy"];
    let files = files.map(|image| args.images.join(images::archive(image)));
    let missing = (!root)
        .then(|| "not root".to_owned())
        .or_else(|| absent(&files))
        .or_else(|| absent(std::slice::from_ref(&args.proxy)))
        .or_else(|| Loops::open().err().map(|error| format!("/dev/loop-control: {error}")));
    if skipped("the udev handler on a node", missing) {
        return;
    }
    let loops = Loops::open().unwrap();
    let say = Say::start();
    let node = Node::up(&args.scripts, &args.node, &say).await.unwrap();
    node.exec(&["sh", "-ec", START_UDEVD]).await.unwrap();
    let mut cri = Cri::connect(node.containerd()).await.unwrap();
    cri.ready(READY).await.unwrap();
    let mut set = DaemonSet::udev().unwrap();
    // Removals are told at once, or each cycle would take the grace time.
    let grace = Env { name: "REMOVAL_GRACE_MILLISECONDS".to_owned(), value: "0".to_owned() };
    set.spec.template.spec.containers[0].env.push(grace);
    let mut stage = NodeStage::of(node, cri, set).unwrap();
    demo::prepare(&args.images, &mut stage, &say).await.unwrap();
    let details = format!("udevRules: ['SUBSYSTEM==\"block\", KERNEL==\"loop{}[01]\"']", FIRST / 10);
    let mut watch =
        Watch::start(&args.proxy.clone().into(), stage.akri(), "udev", &details, say).await.unwrap();
    demo::start_pod(&mut stage, &say).await.unwrap();

    if let Err(error) = cycles(&loops, &mut watch, &say).await {
        story::confess(&stage);
        panic!("{error:#}");
    }
    watch.stop().await.unwrap();
    a_broker_reads_it(&loops, &stage, &args, &say).await;
    assert_eq!(stage.clear().await.unwrap(), 1);
    let left = stage.node.down().await.unwrap();
    assert!(left.split(' ').all(|count| count.ends_with("=0")), "{left}");
}

/// What is plugged in is handed to a broker, which is WebAssembly, too.
async fn a_broker_reads_it(loops: &Loops, stage: &NodeStage, args: &demo::Args, say: &Say) {
    loops.plug(FIRST).unwrap();
    let attach = loops::attach(FIRST).unwrap();
    stage.node.exec(&attach.each_ref().map(String::as_str)).await.unwrap();
    let mut broker = Broker::prepare(&stage.node, stage.cri(), &args.images).await.unwrap();
    let endpoint = stage.akri().join("udev-wasm-0.sock");
    let rule = format!("SUBSYSTEM==\"block\", KERNEL==\"loop{FIRST}\"");
    if let Err(error) = broker.reads(&args.proxy, &endpoint, &rule, say).await {
        story::confess(stage);
        panic!("{error:#}");
    }
    loops::detach(FIRST);
    loops.unplug(FIRST).unwrap();
}

async fn cycles(loops: &Loops, watch: &mut Watch, say: &Say) -> anyhow::Result<()> {
    watch.until(&[], READY).await?;
    loops.plug(FIRST + 1)?;
    watch.until(&[&id(FIRST + 1)], HEARD).await?;
    let (one, other) = (id(FIRST), id(FIRST + 1));
    let mut took = Vec::with_capacity(CYCLES);
    for _ in 0..CYCLES {
        let plugged = Instant::now();
        loops.plug(FIRST)?;
        watch.until(&[&one, &other], HEARD).await?;
        took.push(plugged.elapsed());
        loops.unplug(FIRST)?;
        watch.until(&[&other], HEARD).await?;
    }
    took.sort();
    say.detail(format_args!(
        "{CYCLES} devices plugged in and taken away; from plugging in to the agent, udevd included: median {}, longest {}",
        ms(took[CYCLES / 2]),
        ms(took[CYCLES - 1])
    ));
    loops.unplug(FIRST + 1)?;
    watch.until(&[], HEARD).await
}
