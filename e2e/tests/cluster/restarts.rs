//! The node's own services restart, and the node itself.

use std::time::Duration;

use e2e::wait;
use k8s_cri::v1::{ContainerState, PodSandboxState};
use kube::ResourceExt;
use tokio::time::Instant;

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::{DEVICES, Deployment, Variant, container_of, id_of, sandboxes};

/// How long the API server is away: several of the kubelet's tries to report, and of its looks at pods.
const AWAY: Duration = Duration::from_secs(60);

#[tokio::test]
async fn restarts_of_kubelet_and_containerd_touch_nothing() {
    let Some(cluster) = Cluster::alone("services restarted").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "services").await;
    let ids = async || {
        let pod = handler.pod(&cluster).await;
        ["handler", "proxy"].map(|name| id_of(&container_of(&pod, name)))
    };
    let before = ids().await;
    for service in ["kubelet", "containerd"] {
        cluster.exec(&["systemctl", "restart", service]).await.unwrap();
        // It is the kubelet, and through it containerd, that carries out an exec: both answer again.
        handler.serves(&cluster, "proxy").await;
        handler.ready(&cluster).await;
        assert_eq!(ids().await, before, "{service}: the containers are the same");
        handler.agent.saw_only(&DEVICES);
    }
    handler.remove(&cluster).await;
}

#[tokio::test]
async fn without_the_api_server_crashes_are_mended_all_the_same() {
    let Some(cluster) = Cluster::alone("no API server").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "no-api").await;
    let pod = handler.pod(&cluster).await;
    cluster.exec(&["systemctl", "stop", "kube-apiserver"]).await.unwrap();
    let stopped = Instant::now();
    let mut cri = cluster.cri().await;
    let mut ids = ["handler", "proxy"].map(|name| id_of(&container_of(&pod, name)));
    let mut seen = handler.agent.count() - 1;
    let mut crashes = 0;
    while stopped.elapsed() < AWAY {
        // The handler's crash is not seen. The only proxy's is: its streams end with it.
        cri.stop(&ids[0], 0).await.unwrap();
        ids[0] = running_again(&cluster, &handler.namespace, "handler", &ids[0]).await;
        assert_eq!(handler.agent.count(), seen + 1, "a handler's crash is not seen");
        cri.stop(&ids[1], 0).await.unwrap();
        ids[1] = running_again(&cluster, &handler.namespace, "proxy", &ids[1]).await;
        (seen, _) = handler.agent.until(&[], seen + 1, LIMIT).await;
        (seen, _) = handler.agent.until(&DEVICES, seen + 1, LIMIT).await;
        // And it is answers that come, not memories.
        for (input, devices) in [("OFFLINE", &[][..]), ("", &DEVICES[..])] {
            cri.exec_well(&ids[1], &["akri-proxy", "input", "availability", input]).await.unwrap();
            (seen, _) = handler.agent.until(devices, seen + 1, LIMIT).await;
        }
        crashes += 1;
    }
    println!(
        "{crashes} crashes of each container within {} s without the API server",
        stopped.elapsed().as_secs()
    );
    assert!(crashes > 1);
    cluster.exec(&["systemctl", "start", "kube-apiserver"]).await.unwrap();
    for container in ["handler", "proxy"] {
        handler.restarted(&cluster, container, &container_of(&pod, container)).await;
    }
    handler.ready(&cluster).await;
    // After an outage, client-go waits for up to a minute before it watches again: the pod that is deleted now, and the
    // tests that follow, would wait for each watcher in turn.
    cluster
        .exec(&["systemctl", "restart", "kube-controller-manager", "kube-scheduler", "kubelet"])
        .await
        .unwrap();
    handler.remove(&cluster).await;
}

/// Waits until another container of that name runs, as containerd says it, for nobody else can be asked; its id.
async fn running_again(cluster: &Cluster, namespace: &str, name: &str, before: &str) -> String {
    // An earlier pod of this namespace may not be cleared away yet.
    let sandboxes = sandboxes(cluster, namespace).await;
    let running = sandboxes.into_iter().find(|sandbox| sandbox.state() == PodSandboxState::SandboxReady);
    let sandbox = running.expect("the pod is there").id;
    let mut cri = cluster.cri().await;
    wait::until(&format!("{name} runs again"), LIMIT, async || {
        let containers = cri.containers(&sandbox).await?;
        let running = containers.into_iter().find(|container| {
            container.metadata.as_ref().is_some_and(|metadata| metadata.name == name)
                && container.state() == ContainerState::ContainerRunning
                && container.id != before
        });
        Ok(running.map(|container| container.id))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn after_a_reboot_all_comes_back_by_itself() {
    let Some(mut cluster) = Cluster::alone("reboot").await else { return };
    let mut handler = Deployment::apply(&cluster, Variant::OneProxy, "reboot").await;
    let before = handler.pod(&cluster).await;
    cluster.reboot().await;
    handler.restart_agent().await;
    handler.agent.until(&DEVICES, 0, LIMIT).await;
    for container in ["handler", "proxy"] {
        handler.restarted(&cluster, container, &container_of(&before, container)).await;
    }
    handler.ready(&cluster).await;
    assert_eq!(handler.pod(&cluster).await.uid(), before.uid(), "it is the same pod");
    handler.agent.saw_only(&DEVICES);
    handler.remove(&cluster).await;
}
