//! Many pods at once, and foreign ones beside them.

use std::time::{Duration, SystemTime};

use e2e::manifest::Quantity;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{ListParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::{container_of, id_of, images, sandboxes};
use crate::namespace::{delete_namespace, fresh_namespace};

/// As many as a small edge node may have.
const PODS: usize = 20;

#[tokio::test]
async fn twenty_wasm_pods_at_once() {
    let Some(cluster) = Cluster::alone("many pods").await else { return };
    let namespace = fresh_namespace(&cluster, "many").await;
    let beside = fresh_namespace(&cluster, "beside-many").await;
    let neighbour = native(&cluster, &beside).await;
    let [_, wasm] = images(&cluster).await;
    let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
    let began = SystemTime::now();
    for number in 0..PODS {
        // Without a proxy it waits for one for ever: a module that runs and does nothing.
        let pod = json!({
            "metadata": { "name": format!("wasm-{number}") },
            "spec": {
                "runtimeClassName": "crun-wasmedge",
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "handler",
                    "image": wasm,
                    "resources": { "requests": { "cpu": "1m", "memory": "7Mi" }, "limits": { "memory": "24Mi" } },
                    "volumeMounts": [{ "name": "exchange", "mountPath": "/exchange" }],
                }],
                "volumes": [{ "name": "exchange", "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } }],
            },
        });
        pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    }
    for number in 0..PODS {
        let name = format!("wasm-{number}");
        tokio::time::timeout(LIMIT, await_condition(pods.clone(), &name, running))
            .await
            .unwrap_or_else(|_| panic!("{name} does not run"))
            .unwrap();
    }
    let mut cri = cluster.cri().await;
    let (mut started, mut memory) = (Vec::new(), Vec::new());
    for pod in pods.list(&ListParams::default()).await.unwrap() {
        let container = container_of(&pod, "handler");
        assert_eq!(container.restart_count, 0, "{}", pod.name_any());
        let id = id_of(&container);
        let nanoseconds = cri.inspect(&id).await.unwrap().status.started_at;
        let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds.try_into().unwrap());
        started.push(at.duration_since(began).unwrap());
        memory.push(cri.memory(&id).await.unwrap().working_set_bytes.unwrap().value);
    }
    started.sort();
    memory.sort();
    println!(
        "{PODS} wasm pods at once: the first ran after {} ms, half of them after {} ms, all after {} ms; memory charged \
         to a container {} kB (median), {} kB (most)",
        started[0].as_millis(),
        started[PODS / 2].as_millis(),
        started[PODS - 1].as_millis(),
        memory[PODS / 2] / 1000,
        memory[PODS - 1] / 1000,
    );
    assert!(memory[PODS - 1] < 24 << 20);
    overhead(&cluster, &namespace).await;
    delete_namespace(&cluster, &namespace).await;
    let now = native(&cluster, &beside).await;
    assert_eq!(id_of(&now), id_of(&neighbour), "the pod beside is the same");
    assert_eq!(now.restart_count, 0);
    delete_namespace(&cluster, &beside).await;
}

/// What a pod costs beside its containers, held against what the RuntimeClass says: containerd's shim, its share of what is
/// mapped by several counted once, and the pause container.
async fn overhead(cluster: &Cluster, namespace: &str) {
    const SHIMS: &str = "for pid in $(pgrep -f ^/usr/bin/containerd-shim); do
        awk '$1 == \"Pss:\" { print $2 * 1024 }' /proc/$pid/smaps_rollup; done";
    let mut shims = numbers(&cluster.exec(&["sh", "-c", SHIMS]).await.unwrap());
    let mut pauses = Vec::new();
    for sandbox in sandboxes(cluster, namespace).await {
        let cgroup = format!("*{}*", sandbox.id);
        // Of cgroup v1, and of v2.
        let files = ["(", "-name", "memory.max_usage_in_bytes", "-o", "-name", "memory.peak", ")"];
        let find = [&["find", "/sys/fs/cgroup", "-path", &cgroup][..], &files, &["-exec", "cat", "{}", ";"]]
            .concat();
        pauses.extend(numbers(&cluster.exec(&find).await.unwrap()));
    }
    assert!(shims.len() >= PODS && pauses.len() >= PODS, "{} shims, {} pauses", shims.len(), pauses.len());
    shims.sort();
    pauses.sort();
    let (shim, pause) = (shims[shims.len() / 2], pauses[pauses.len() / 2]);
    println!(
        "beside its containers a pod costs {} kB: its shim {} kB, pause at most {} kB (medians)",
        (shim + pause) / 1000,
        shim / 1000,
        pause / 1000
    );
    let class: serde_yaml_ng::Value = serde_yaml_ng::from_str(e2e::manifest::RUNTIME_CLASS).unwrap();
    let said: Quantity = class["overhead"]["podFixed"]["memory"].as_str().unwrap().parse().unwrap();
    assert!((said.0 / 2..=said.0).contains(&(shim + pause)), "the RuntimeClass says {}", said.0);
}

fn numbers(text: &str) -> Vec<u64> {
    text.lines().map(|line| line.trim().parse().unwrap()).collect()
}

/// An ordinary pod, without the RuntimeClass: waits until it runs, if it does not yet.
async fn native(cluster: &Cluster, namespace: &str) -> ContainerStatus {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    if pods.get_opt("native").await.unwrap().is_none() {
        let pod = json!({
            "metadata": { "name": "native" },
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 0,
                "containers": [{ "name": "handler", "image": e2e::images::PAUSE }],
            },
        });
        pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    }
    let pod = tokio::time::timeout(LIMIT, await_condition(pods, "native", running))
        .await
        .expect("it runs")
        .unwrap();
    let container = container_of(&pod.unwrap(), "handler");
    let sandbox = cluster.cri().await.inspect(&id_of(&container)).await.unwrap().info["sandboxID"].clone();
    let sandbox = cluster.cri().await.inspect_pod(sandbox.as_str().unwrap()).await.unwrap();
    assert_eq!(sandbox.status.runtime_handler, "", "the default runtime runs it");
    container
}

fn running(pod: Option<&Pod>) -> bool {
    pod.is_some_and(|pod| container_of(pod, "handler").state.is_some_and(|state| state.running.is_some()))
}
