//! examples/cloudevents: events from WebAssembly over WasmEdge's sockets, and what the service makes of them.

use std::collections::BTreeSet;

use e2e::wait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::Value;

use crate::cluster::{Cluster, LIMIT};
use crate::examples::apply;
use crate::namespace::{delete_namespace, fresh_namespace};

const NAME: &str = "cloudevents-wasm";
/// How many events are looked at.
const EVENTS: usize = 4;

#[tokio::test]
async fn a_module_sends_events_and_reads_the_replies() {
    let Some(cluster) = Cluster::beside("CloudEvents").await else { return };
    let namespace = fresh_namespace(&cluster, "events").await;
    let began = Timestamp::now();
    let folder = apply(&cluster, &namespace, "cloudevents").await;
    // As the manifest is, but for the interval.
    let text = cluster.kubectl(&["kustomize", &folder]).await.unwrap();
    let often = text.replace("value: \"15\"", "value: \"1\"");
    assert_ne!(often, text, "the manifest says 15 s");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), often).unwrap();
    let at = ["--namespace", &namespace];
    let file = ["apply", "--filename", file.path().to_str().unwrap()];
    cluster.kubectl(&[&at[..], &file].concat()).await.unwrap();
    let rollout = ["rollout", "status", "--timeout=90s", "deployment/cloudevents-wasm"];
    cluster.kubectl(&[&at[..], &rollout].concat()).await.unwrap();
    let pod = staying_pod(&cluster, &namespace).await;
    let log = async |container: &str| {
        cluster.kubectl(&[&at[..], &["logs", &pod, "--container", container]].concat()).await
    };

    let printed = wait::until("the service has printed events", LIMIT, async || {
        let said = log("event-sink").await?;
        Ok((said.lines().count() >= EVENTS).then_some(said))
    })
    .await
    .unwrap();
    let events: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut ids = BTreeSet::new();
    let mut before = began;
    // Those before it are what the service did not yet listen for.
    let first = events[0]["data"]["sequence"].as_u64().unwrap();
    for (number, event) in (first..).zip(&events) {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["type"], "akri-wasm.example.heartbeat");
        assert_eq!(event["source"], format!("/akri-wasm/examples/cloudevents/{pod}"));
        assert_eq!(event["datacontenttype"], "application/json");
        assert_eq!(event["data"]["sequence"], number);
        let time: Timestamp = event["time"].as_str().unwrap().parse().unwrap();
        assert!(before <= time && time <= Timestamp::now(), "{before} then {time}");
        before = time;
        let id = event["id"].as_str().unwrap();
        assert_eq!(id.len(), 36, "{id} is no UUID");
        assert!(ids.insert(id), "{id} came twice");
    }

    // Each was answered, and the answer read: its number is in nothing but the reply.
    wait::until("the module has read all replies", LIMIT, async || {
        let said = log("cloudevents").await?;
        let read = |(number, event): (usize, &Value)| {
            said.contains(&format!(
                "event {} is number {} of the service\n",
                event["id"].as_str().unwrap(),
                number + 1
            ))
        };
        Ok(events.iter().enumerate().all(read).then_some(()))
    })
    .await
    .unwrap();
    delete_namespace(&cluster, &namespace).await;
}

/// The pod of the newest generation.
async fn staying_pod(cluster: &Cluster, namespace: &str) -> String {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let selector = ListParams::default().labels(&format!("app.kubernetes.io/name={NAME}"));
    let pods = pods.list(&selector).await.unwrap().items;
    let mut staying = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let pod = staying.next().expect("the Deployment has a pod");
    assert!(staying.next().is_none(), "and only one");
    pod.name_any()
}
