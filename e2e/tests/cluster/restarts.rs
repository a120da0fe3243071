//! The node's own services restart, and the node itself.

use e2e::wait;
use k8s_cri::v1::ContainerState;
use kube::ResourceExt;

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::{DEVICES, Deployment, Variant, container_of, id_of, sandboxes};

#[tokio::test]
async fn restarts_of_kubelet_and_containerd_touch_nothing() {
    let Some(cluster) = Cluster::take("services restarted").await else { return };
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
    let Some(cluster) = Cluster::take("no API server").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "no-api").await;
    let pod = handler.pod(&cluster).await;
    cluster.exec(&["systemctl", "stop", "kube-apiserver"]).await.unwrap();
    let mut cri = cluster.cri().await;
    for container in ["handler", "proxy"] {
        let before = id_of(&container_of(&pod, container));
        let lists = handler.agent.count();
        cri.stop(&before, 0).await.unwrap();
        running_again(&cluster, &handler.namespace, container, &before).await;
        if container == "handler" {
            handler.agent.saw_only(&DEVICES);
        } else {
            let (gone, _) = handler.agent.until(&[], lists, LIMIT).await;
            handler.agent.until(&DEVICES, gone, LIMIT).await;
        }
    }
    cluster.exec(&["systemctl", "start", "kube-apiserver"]).await.unwrap();
    for container in ["handler", "proxy"] {
        handler.restarted(&cluster, container, &container_of(&pod, container)).await;
    }
    handler.ready(&cluster).await;
    handler.remove(&cluster).await;
}

/// As containerd says it, for nobody else can be asked.
async fn running_again(cluster: &Cluster, namespace: &str, name: &str, before: &str) {
    let sandbox = sandboxes(cluster, namespace).await.pop().expect("the pod is there").id;
    let mut cri = cluster.cri().await;
    wait::until(&format!("{name} runs again"), LIMIT, async || {
        let containers = cri.containers(&sandbox).await?;
        let running = containers.iter().any(|container| {
            container.metadata.as_ref().is_some_and(|metadata| metadata.name == name)
                && container.state() == ContainerState::ContainerRunning
                && container.id != before
        });
        Ok(running.then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn after_a_reboot_all_comes_back_by_itself() {
    let Some(mut cluster) = Cluster::take("reboot").await else { return };
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
