//! A node that is prepared from the cluster, by nothing but manifests: taken back, prepared again, proved and labelled.

use e2e::{demo, wait};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::cluster::{Cluster, LIMIT};
use crate::examples;
use crate::mistakes::quoted;
use crate::namespace::{delete_namespace, fresh_namespace};

/// Where the manifests are.
const FOLDER: &str = "runtimeclass/node";
/// What a person sets, and what `wasm-node doctor` sets.
const WANTED: &str = "akri-wasm/prepare";
const PREPARED: &str = "akri-wasm/runtime";
/// Where the program stays on the node.
const KEPT: &str = "/usr/local/bin/wasm-node";

#[tokio::test]
async fn manifests_alone_prepare_a_node_and_take_it_back() {
    let Some(cluster) = Cluster::alone("prepared by manifests").await else { return };
    let namespace = fresh_namespace(&cluster, "prepare").await;
    let set = manifest(&cluster).await;
    let installer = set["spec"]["template"]["spec"]["initContainers"][0].clone();
    let image = installer["image"].as_str().unwrap().to_owned();
    without_the_hosts_processes(&cluster, &namespace, installer).await;

    cluster.kubectl(&["label", "node", cluster.node(), &format!("{PREPARED}-")]).await.unwrap();
    uninstall(&cluster, &namespace, &image).await;

    let folder = demo::checkout().join(FOLDER).to_str().unwrap().to_owned();
    let at = ["--namespace", &namespace, "--kustomize", &folder];
    for command in [&["apply", "--server-side", "--dry-run=server"][..], &["apply"], &["diff"]] {
        cluster.kubectl(&[command, &at[..]].concat()).await.unwrap();
    }
    // Not before a person says so.
    let nobody = pods_of(&cluster, &namespace, "app.kubernetes.io/name=akri-wasm-node").await;
    assert_eq!(nobody, "");
    cluster.kubectl(&["label", "node", cluster.node(), &format!("{WANTED}=true")]).await.unwrap();
    let nodes: Api<Node> = Api::all(cluster.client());
    let labelled = |node: Option<&Node>| {
        node.is_some_and(|node| node.labels().get(PREPARED).is_some_and(|value| value == "crun-wasmedge"))
    };
    tokio::time::timeout(LIMIT, await_condition(nodes, cluster.node(), labelled)).await.unwrap().unwrap();
    assert!(is_prepared(&cluster));
    let set = "daemonset/akri-wasm-node";
    let at = ["--namespace", &namespace];
    cluster.kubectl(&[&at[..], &["rollout", "status", "--timeout=60s", set]].concat()).await.unwrap();
    let log = cluster.kubectl(&[&at[..], &["logs", set, "--all-containers"]].concat()).await.unwrap();
    for line in
        ["the node is prepared", "hello from WebAssembly", "labelled: akri-wasm/runtime=crun-wasmedge"]
    {
        assert!(log.contains(line), "{line:?} is not in {log}");
    }

    // The proof that counts.
    examples::apply(&cluster, &namespace, "hello").await;
    let complete = ["wait", "--for=condition=complete", "--timeout=60s", "job/hello-wasm"];
    cluster.kubectl(&[&at[..], &complete].concat()).await.unwrap();

    cluster.kubectl(&["label", "node", cluster.node(), &format!("{WANTED}-")]).await.unwrap();
    cluster.exec(&["rm", KEPT]).await.unwrap();
    delete_namespace(&cluster, &namespace).await;
}

/// The DaemonSet as kubectl builds it.
async fn manifest(cluster: &Cluster) -> Value {
    let folder = demo::checkout().join(FOLDER).to_str().unwrap().to_owned();
    serde_yaml_ng::from_str(&cluster.kubectl(&["kustomize", &folder]).await.unwrap()).unwrap()
}

/// What a person sees who left `hostPID` out.
async fn without_the_hosts_processes(cluster: &Cluster, namespace: &str, container: Value) {
    let spec = json!({ "restartPolicy": "Never", "containers": [container] });
    let pod = json!({ "metadata": { "name": "no-host-pid" }, "spec": spec });
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let at = ["--namespace", namespace];
    let failed = ["wait", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s", "pod/no-host-pid"];
    cluster.kubectl(&[&at[..], &failed].concat()).await.unwrap();
    let said = cluster.kubectl(&[&at[..], &["logs", "no-host-pid"]].concat()).await.unwrap();
    quoted("in a pod, hostPID: true is missing", &said);
}

/// As docs/node.md says.
async fn uninstall(cluster: &Cluster, namespace: &str, image: &str) {
    let node = format!("node/{}", cluster.node());
    let image = format!("--image={image}");
    let debug = ["debug", "--namespace", namespace, &node, "--profile=sysadmin", &image, "--"];
    cluster.kubectl(&[&debug[..], &["/wasm-node", "on-host", "uninstall"]].concat()).await.unwrap();
    // Not when the pod has succeeded: containerd is restarted under it, and a new pod need not live through that. The run does.
    wait::until("the node is as it was", LIMIT, async || Ok((!is_prepared(cluster)).then_some(())))
        .await
        .unwrap();
}

async fn pods_of(cluster: &Cluster, namespace: &str, label: &str) -> String {
    let get = ["get", "pods", "--namespace", namespace, "--selector", label, "--output", "name"];
    cluster.kubectl(&get).await.unwrap()
}

/// Whether anything of `wasm-node apply` is on the node.
fn is_prepared(cluster: &Cluster) -> bool {
    let config = std::fs::read_to_string(cluster.file("/etc/containerd/config.toml")).unwrap();
    let record = cluster.file("/var/lib/wasm-node/record.json").exists();
    record || config.contains("runtimes.crun-wasmedge]")
}
