//! The story on a node, and what a pod must be beneath. One node for all of it: what is tested costs milliseconds, and
//! a node seconds.

use std::time::Duration;

use akri_proxy::state::Condition;
use e2e::cri::Cri;
use e2e::manifest::{Configuration, DaemonSet};
use e2e::node::Node;
use e2e::node_stage::NodeStage;
use e2e::say::Say;
use e2e::stage::{Part, Stage};
use e2e::watch::Watch;
use e2e::{RUNTIME_HANDLER, VARIANT, VARIANT_ANNOTATION, demo, images, inspect, story};

use crate::support::{absent, arguments, skipped};

/// Not the demo's: both may run at the same time.
const NODE: &str = "e2e-test";
const READY: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_story_on_a_node() {
    let args = arguments(NODE);
    let root = rustix::process::geteuid().is_root();
    let files = [images::PAUSE, "debug-echo", "debug-echo:dev-aot", "akri-proxy"]
        .map(|image| args.images.join(images::archive(image)));
    let missing = (!root)
        .then(|| "not root".to_owned())
        .or_else(|| absent(&files))
        .or_else(|| absent(std::slice::from_ref(&args.proxy)));
    if skipped("the story on a node", missing) {
        return;
    }
    let say = Say::start();
    let node = Node::up(&args.scripts, &args.node, &say).await.unwrap();
    // A panic below drops the stage, and the stage's node goes down.
    let mut cri = Cri::connect(node.containerd()).await.unwrap();
    cri.ready(READY).await.unwrap();
    let mut stage = NodeStage::new(node, cri).unwrap();
    demo::prepare(&args.images, &mut stage, &say).await.unwrap();

    let configuration = Configuration::ours().unwrap();
    let devices = story::devices(&configuration).unwrap();
    let ids: Vec<&str> = devices.iter().map(String::as_str).collect();
    let handler = &configuration.spec.discovery_handler;
    let agent = args.proxy();
    let start = Watch::start(&agent, stage.akri(), &handler.name, &handler.discovery_details, say);
    let mut watch = start.await.unwrap();
    demo::start_pod(&mut stage, &say).await.unwrap();

    if let Err(error) = story::tell(&mut stage, &mut watch, &ids, &say).await {
        story::confess(&stage);
        panic!("{error:#}");
    }
    inspect::show(&mut stage, &say).await.unwrap();
    runs_as_told(&mut stage).await;
    is_confined(&mut stage).await;
    exchange_is_as_a_kubelet_makes_it(&stage).await;
    nothing_can_be_executed_in_wasm(&mut stage).await;
    the_proxy_leaves_and_takes_the_handler_along(&mut stage).await;
    drop(watch);

    assert_eq!(stage.clear().await.unwrap(), 1);
    assert_eq!(stage.clear().await.unwrap(), 0, "clearing up twice is no error");
    assert!(!stage.node.file(&stage.pod().directory()).unwrap().exists());

    // The same pod with the compiled handler, as the overlay `aot` has it.
    stage.change(DaemonSet::compiled().unwrap()).unwrap();
    demo::prepare(&args.images, &mut stage, &say).await.unwrap();
    let proxy = args.proxy.clone().into();
    let start = Watch::start(&proxy, stage.akri(), &handler.name, &handler.discovery_details, say);
    let mut watch = start.await.unwrap();
    demo::start_pod(&mut stage, &say).await.unwrap();
    let told = async {
        story::appear(&mut watch, &ids, &say).await?;
        story::offline_and_online(&mut stage, &mut watch, &ids, &say).await
    };
    if let Err(error) = told.await {
        story::confess(&stage);
        panic!("{error:#}");
    }
    assert!(stage.process(Part::Handler).await.unwrap().has_unfiled_code().unwrap(), "it is interpreted");
    drop(watch);
    assert_eq!(stage.clear().await.unwrap(), 1);

    // `down` asks edge-node to count, and fails where anything is left.
    let left = stage.node.down().await.unwrap();
    assert!(left.split(' ').all(|count| count.ends_with("=0")), "{left}");
}

/// containerd has the pod under crun-wasmedge; the handler is WebAssembly there, and the proxy beside it native.
async fn runs_as_told(stage: &mut NodeStage) {
    let pod = stage.inspect_pod().await.unwrap();
    assert_eq!(pod.status.runtime_handler, RUNTIME_HANDLER);
    assert_eq!(pod.info["runtimeHandler"], RUNTIME_HANDLER);
    for (part, wasm) in [(Part::Handler, true), (Part::Proxy, false)] {
        let container = stage.inspect(part).await.unwrap();
        assert_eq!(container.annotation(VARIANT_ANNOTATION), Some(VARIANT), "{part:?}");
        let process = stage.process(part).await.unwrap();
        assert_eq!(process.command().starts_with("[libcrun:wasmedge]"), wasm, "{}", process.command());
        // The engine is mapped into the one, and not into the other.
        assert_eq!(process.maps("libwasmedge").unwrap(), wasm, "{part:?}");
        assert!(!process.has_unfiled_code().unwrap(), "{part:?}: nothing was compiled");
    }
}

/// The security context is what the kernel enforces.
async fn is_confined(stage: &mut NodeStage) {
    for (part, user) in [(Part::Handler, 65532), (Part::Proxy, 0)] {
        let process = stage.process(part).await.unwrap();
        assert_eq!(process.users().unwrap(), [user; 4], "{part:?}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(process.field(set).unwrap(), "0000000000000000", "{part:?} {set}");
        }
        assert_eq!(process.field("NoNewPrivs").unwrap(), "1", "{part:?}");
        assert_eq!(process.field("Seccomp").unwrap(), "2", "{part:?}: not filtered");
        let groups = process.field("Groups").unwrap();
        assert!(groups.split_whitespace().any(|group| group == "65532"), "{part:?}: {groups}");
        let container = stage.inspect(part).await.unwrap();
        let spec = &container.info["runtimeSpec"];
        assert_eq!(spec["root"]["readonly"], true, "{part:?}");
        assert_eq!(spec["linux"]["resources"]["memory"]["limit"], 24 << 20, "{part:?}");
    }
}

async fn exchange_is_as_a_kubelet_makes_it(stage: &NodeStage) {
    use std::os::unix::fs::MetadataExt;
    let exchange = std::fs::metadata(stage.exchange().unwrap()).unwrap();
    assert_eq!((exchange.mode() & 0o7777, exchange.uid(), exchange.gid()), (0o2770, 0, 65532));
    let volume = stage.pod().volume("exchange").unwrap();
    let kind =
        stage.node.exec(&["findmnt", "--noheadings", "--output", "FSTYPE", volume.path()]).await.unwrap();
    assert_eq!(kind.trim(), "tmpfs", "credentials must not touch a disk");
}

/// Why probes are on the proxy, and inputs are written by it.
async fn nothing_can_be_executed_in_wasm(stage: &mut NodeStage) {
    let id = stage.inspect(Part::Handler).await.unwrap().status.id;
    let said = stage.cri().exec(&id, &["/debug-echo.wasm"]).await;
    assert!(said.is_err() || said.is_ok_and(|said| said.exit_code != 0));
}

/// SIGTERM for the proxy alone: it ends well and in time, and by its stop file the handler does.
async fn the_proxy_leaves_and_takes_the_handler_along(stage: &mut NodeStage) {
    assert_eq!(stage.status().await.unwrap().handler.condition, Condition::Alive);
    let socket = stage.akri().join("debugEcho-wasm-0.sock");
    assert!(socket.exists());
    let grace = Duration::from_secs(stage.pod().spec().termination_grace_period_seconds.into());
    let (status, took) = stage.stop(Part::Proxy).await.unwrap();
    assert_eq!(status.exit_code, 0, "{}", stage.said(Part::Proxy));
    assert!(took < grace, "{took:?}");
    assert_eq!(stage.ended(Part::Handler).await.unwrap().exit_code, 0, "{}", stage.said(Part::Handler));
    assert!(!socket.exists(), "the proxy leaves no socket");
}
