//! `scripts/inspect`: crictl's view, by the JSON paths that docs/cluster.md gives for crictl.

use std::path::Path;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::command::run;
use crate::deployment::{Deployment, Variant, container_of, id_of};

const PROGRAM: &str = env!("CARGO_BIN_EXE_inspect");

/// The page that says what to look for.
fn documented(path: &str) {
    let page = std::fs::read_to_string(e2e::demo::checkout().join("docs/cluster.md")).unwrap();
    assert!(page.contains(&format!("`{path}`")), "docs/cluster.md does not have {path}");
}

async fn inspect(cluster: &Cluster, arguments: &[&str]) -> anyhow::Result<String> {
    let [socket, root] = cluster.inside();
    let node = ["--socket", &socket, "--root", &root];
    run(Path::new(PROGRAM), &[arguments, &node].concat()).await
}

async fn json(cluster: &Cluster, arguments: &[&str]) -> Value {
    let said = inspect(cluster, &[arguments, &["--output", "json"]].concat()).await.unwrap();
    serde_json::from_str(&said).unwrap()
}

#[tokio::test]
async fn inspect_shows_by_crictls_paths_how_a_wasm_pod_runs() {
    let Some(cluster) = Cluster::beside("inspect").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "inspect").await;
    let ended = id_of(&container_of(&handler.pod(&cluster).await, "handler"));
    handler.kill(&cluster, "handler").await;
    handler.ready(&cluster).await;
    let pod = handler.pod(&cluster).await;
    let name = pod.metadata.name.clone().unwrap();
    let [running, proxy] = ["handler", "proxy"].map(|name| id_of(&container_of(&pod, name)));

    documented(".config.containerd.runtimes[\"crun-wasmedge\"]");
    let info = json(&cluster, &["info"]).await;
    let runtime = &info["config"]["containerd"]["runtimes"]["crun-wasmedge"];
    assert_eq!(runtime["options"]["BinaryName"], "/usr/bin/crun");
    let conditions = info["status"]["conditions"].as_array().unwrap();
    for wanted in ["RuntimeReady", "NetworkReady"] {
        let condition = conditions.iter().find(|condition| condition["type"] == wanted).unwrap();
        assert_eq!(condition["status"], true, "{wanted}");
    }

    documented(".items[].runtimeHandler");
    let pods = json(&cluster, &["pods", &name]).await;
    assert_eq!(pods["items"].as_array().unwrap().len(), 1);
    let sandbox = &pods["items"][0];
    assert_eq!(
        (&sandbox["state"], &sandbox["runtimeHandler"]),
        (&"SANDBOX_READY".into(), &"crun-wasmedge".into())
    );

    documented(".info.runtimeHandler");
    let inspected = json(&cluster, &["inspectp", sandbox["id"].as_str().unwrap()]).await;
    assert_eq!(inspected["info"]["runtimeHandler"], "crun-wasmedge");
    assert_eq!(inspected["status"]["metadata"]["namespace"], handler.namespace.as_str());

    documented(".containers[].state");
    let all = json(&cluster, &["ps"]).await;
    let state = |id: &str| {
        let mut containers = all["containers"].as_array().unwrap().iter();
        containers.find(|container| container["id"] == id).map(|found| found["state"].as_str().unwrap())
    };
    assert_eq!(state(&ended), Some("CONTAINER_EXITED"));
    assert_eq!((state(&running), state(&proxy)), (Some("CONTAINER_RUNNING"), Some("CONTAINER_RUNNING")));

    documented(".info.runtimeSpec.annotations[\"module.wasm.image/variant\"]");
    documented(".status.exitCode");
    for (id, args, code) in
        [(&ended, "/debug-echo.wasm", 137), (&running, "/debug-echo.wasm", 0), (&proxy, "/akri-proxy", 0)]
    {
        let container = json(&cluster, &["inspect", id]).await;
        let spec = &container["info"]["runtimeSpec"];
        assert_eq!(spec["annotations"]["module.wasm.image/variant"], "compat-smart");
        assert_eq!(spec["process"]["args"][0], args);
        assert_eq!(container["status"]["exitCode"], code, "{args}");
    }

    documented(".info.imageSpec.config.Entrypoint");
    let image = json(&cluster, &["inspecti", "localhost/akri-wasm/debug-echo:dev"]).await;
    assert_eq!(image["info"]["imageSpec"]["config"]["Entrypoint"][0], "/debug-echo.wasm");
    assert_eq!(image["info"]["imageSpec"]["os"], "linux");

    let logs = json(&cluster, &["logs", &running, "--tail", "1000"]).await;
    let mut lines = logs[0]["lines"].as_array().unwrap().iter();
    let line =
        lines.find(|line| line["text"].as_str().unwrap().contains("ready, exchange directory")).unwrap();
    assert_eq!(line["stream"], "stderr");

    documented(".stats[].memory.workingSetBytes.value");
    let stats = json(&cluster, &["stats", &running]).await;
    let memory: u64 =
        stats["stats"][0]["memory"]["workingSetBytes"]["value"].as_str().unwrap().parse().unwrap();
    assert!((1 << 20..24 << 20).contains(&memory), "{memory}");

    // What a user types.
    let script = e2e::demo::checkout().join("scripts/inspect");
    let built = format!("E2E_INSPECT={PROGRAM}");
    let typed = [&built, script.to_str().unwrap(), "--node", cluster.node()];
    let table = run(Path::new("env"), &typed).await.unwrap();
    for word in [
        "info:",
        "pods:",
        "ps:",
        "inspectp:",
        "inspect:",
        "inspecti:",
        "logs:",
        "stats:",
        &name,
        &running[..13],
    ] {
        assert!(table.contains(word), "{word} is not in {table}");
    }
    let unknown = inspect(&cluster, &["inspect", "no-such-container"]).await.unwrap_err().to_string();
    assert!(unknown.contains("finds nothing that is called no-such-container"), "{unknown}");
    handler.remove(&cluster).await;
}
