//! The udev handler's pod on a node where udevd runs: real devices, plugged in and taken away.

use std::fs::File;
use std::time::{Duration, Instant};

use e2e::cri::Cri;
use e2e::manifest::{DaemonSet, Env};
use e2e::node::Node;
use e2e::node_stage::NodeStage;
use e2e::say::{Say, ms};
use e2e::stage::Stage;
use e2e::watch::Watch;
use e2e::{demo, images, story};
use rustix::ioctl::{IntegerSetter, ioctl};

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

/// From `linux/loop.h`.
const LOOP_CTL_ADD: u32 = 0x4C80;
/// Likewise.
const LOOP_CTL_REMOVE: u32 = 0x4C81;

/// Begins udevd on the node. Of its rules those are left out that would change the machine, whose kernel is shared.
const START_UDEVD: &str = "
    mkdir -p /etc/udev/rules.d
    for rules in 50-firmware 75-net-description 80-drivers 80-net-setup-link 99-systemd; do
        ln -sf /dev/null /etc/udev/rules.d/$rules.rules
    done
    /usr/lib/systemd/systemd-udevd --daemon
    udevadm settle --timeout=10";

/// Loop devices that are taken away again, however the test ends.
struct Loops(File);

impl Loops {
    fn open() -> std::io::Result<Self> {
        Ok(Self(File::options().read(true).write(true).open("/dev/loop-control")?))
    }

    fn plug(&self, number: usize) {
        // SAFETY: the kernel's call takes a number, and touches no memory of ours.
        unsafe { ioctl(&self.0, IntegerSetter::<LOOP_CTL_ADD>::new_usize(number)) }.unwrap();
    }

    fn unplug(&self, number: usize) -> rustix::io::Result<()> {
        // SAFETY: as above.
        unsafe { ioctl(&self.0, IntegerSetter::<LOOP_CTL_REMOVE>::new_usize(number)) }
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        for number in FIRST..FIRST + 2 {
            // Most often it is gone already.
            let _ = self.unplug(number);
        }
    }
}

fn id(number: usize) -> String {
    format!("/devices/virtual/block/loop{number}")
}

#[tokio::test]
async fn devices_are_plugged_in_and_taken_away() {
    let args = arguments(NODE);
    let root = rustix::process::geteuid().is_root();
    let files = [images::PAUSE, "udev", "akri-proxy"].map(|image| args.images.join(images::archive(image)));
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
    assert_eq!(stage.clear().await.unwrap(), 1);
    let left = stage.node.down().await.unwrap();
    assert!(left.split(' ').all(|count| count.ends_with("=0")), "{left}");
}

async fn cycles(loops: &Loops, watch: &mut Watch, say: &Say) -> anyhow::Result<()> {
    watch.until(&[], READY).await?;
    loops.plug(FIRST + 1);
    watch.until(&[&id(FIRST + 1)], HEARD).await?;
    let (one, other) = (id(FIRST), id(FIRST + 1));
    let mut took = Vec::with_capacity(CYCLES);
    for _ in 0..CYCLES {
        let plugged = Instant::now();
        loops.plug(FIRST);
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
