//! The overlay for OpenYurt: its handler is on edge workers, and nowhere else. The label is set here as OpenYurt sets it.

use e2e::{demo, wait};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::{DEVICES, NAME, start_agent};
use crate::namespace::{delete_namespace, fresh_namespace};

/// What OpenYurt calls its edge nodes.
const EDGE_WORKER: &str = "openyurt.io/is-edge-worker";

#[tokio::test]
async fn the_overlay_lands_on_edge_workers_only() {
    let Some(cluster) = Cluster::alone("openyurt").await else { return };
    // As OpenYurt marks cloud nodes.
    label(&cluster, json!("false")).await;
    let namespace = fresh_namespace(&cluster, "openyurt").await;
    let agent = start_agent(cluster.akri()).await;
    apply(&cluster, &namespace).await;
    scheduled(&cluster, &namespace, 0).await;
    let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
    assert_eq!((pods.list(&ListParams::default()).await.unwrap().items.len(), agent.count()), (0, 0));

    label(&cluster, json!("true")).await;
    scheduled(&cluster, &namespace, 1).await;
    agent.until(&DEVICES, 0, LIMIT).await;

    label(&cluster, Value::Null).await;
    scheduled(&cluster, &namespace, 0).await;
    wait::until("the pod is gone with the label", LIMIT, async || {
        Ok(pods.list(&ListParams::default()).await?.items.is_empty().then_some(()))
    })
    .await
    .unwrap();
    delete_namespace(&cluster, &namespace).await;
}

/// `kubectl apply -k runtimeclass/openyurt`, and what it needs of Akri.
async fn apply(cluster: &Cluster, namespace: &str) {
    let path = |folder: &str| demo::checkout().join(folder).to_str().unwrap().to_owned();
    let kinds = path("scripts/cluster.d/akri-stand-in/crds.yaml");
    cluster.kubectl(&["apply", "--filename", &kinds]).await.unwrap();
    let established =
        ["wait", "--for=condition=Established", "customresourcedefinition/configurations.akri.sh"];
    cluster.kubectl(&established).await.unwrap();
    let overlay = path("runtimeclass/openyurt");
    let at = ["--namespace", namespace];
    cluster.kubectl(&[&["apply"], &at[..], &["--kustomize", &overlay]].concat()).await.unwrap();
    cluster.kubectl(&[&["diff"], &at[..], &["--kustomize", &overlay]].concat()).await.unwrap();
    // The brokers' overlay is for Akri's controller: here the API server only says that it would take it.
    let brokers = path("runtimeclass/openyurt/broker");
    let dry = ["apply", "--server-side", "--dry-run=server", "--kustomize", &brokers];
    cluster.kubectl(&[&dry[..], &at].concat()).await.unwrap();
}

/// Sets the label, or removes it with `null`.
async fn label(cluster: &Cluster, value: Value) {
    let nodes: Api<Node> = Api::all(cluster.client());
    let change = json!({ "metadata": { "labels": { EDGE_WORKER: value } } });
    let node = nodes.patch(cluster.node(), &PatchParams::default(), &Patch::Merge(&change)).await.unwrap();
    assert_eq!(node.labels().get(EDGE_WORKER).map(String::as_str), value.as_str());
}

/// Waits until the DaemonSet's controller wants it on so many nodes, and it is available there and nowhere else.
async fn scheduled(cluster: &Cluster, namespace: &str, nodes: i32) {
    let sets: Api<DaemonSet> = Api::namespaced(cluster.client(), namespace);
    let reached = |set: Option<&DaemonSet>| {
        set.is_some_and(|set| {
            let status = set.status.clone().unwrap_or_default();
            status.observed_generation == set.metadata.generation
                && status.desired_number_scheduled == nodes
                && status.current_number_scheduled == nodes
                && status.number_available.unwrap_or_default() == nodes
                && status.number_misscheduled == 0
        })
    };
    tokio::time::timeout(LIMIT, await_condition(sets, NAME, reached))
        .await
        .unwrap_or_else(|_| panic!("{NAME} is not on {nodes} nodes after {LIMIT:?}"))
        .unwrap();
}
