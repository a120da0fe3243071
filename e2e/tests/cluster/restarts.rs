//! The node's own services restart, and the node itself.

use kube::ResourceExt;

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::{DEVICES, Deployment, Variant, container_of, id_of};

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
