//! The DaemonSet as users apply it: Ready by real probes, devices coming and going, and nothing left of it.

use e2e::wait;
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::{Api, ResourceExt};

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::{DEVICES, Deployment, Variant, container_of, sandboxes};

#[tokio::test]
async fn the_daemon_set_is_ready_and_its_devices_come_and_go() {
    let Some(cluster) = Cluster::beside("devices").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "devices").await;
    let pod = handler.pod(&cluster).await;
    for container in ["handler", "proxy"] {
        assert!(container_of(&pod, container).ready, "{container}");
    }
    costs_what_the_class_says(&cluster, &pod).await;

    let seen = handler.agent.count();
    handler.proxy(&cluster, "proxy", &["input", "availability", "OFFLINE"]).await.unwrap();
    let (gone, _) = handler.agent.until(&[], seen, LIMIT).await;
    handler.proxy(&cluster, "proxy", &["input", "availability"]).await.unwrap();
    let (back, _) = handler.agent.until(&DEVICES, gone, LIMIT).await;
    assert_eq!((gone, back), (seen, seen + 1), "each change is one list");
    assert_eq!(container_of(&handler.pod(&cluster).await, "handler").restart_count, 0);
    handler.remove(&cluster).await;
}

/// The API server has put the RuntimeClass's overhead and its nodes' label into the pod.
async fn costs_what_the_class_says(cluster: &Cluster, pod: &k8s_openapi::api::core::v1::Pod) {
    let spec = pod.spec.as_ref().unwrap();
    let class: Api<RuntimeClass> = Api::all(cluster.client());
    let class = class.get(spec.runtime_class_name.as_deref().unwrap()).await.unwrap();
    assert_eq!(spec.overhead, class.overhead.clone().unwrap().pod_fixed, "{}", pod.name_any());
    for (label, value) in class.scheduling.clone().unwrap().node_selector.unwrap() {
        assert_eq!(spec.node_selector.as_ref().unwrap().get(&label), Some(&value));
    }
}

#[tokio::test]
async fn deletion_leaves_nothing_on_the_node() {
    let Some(cluster) = Cluster::beside("deletion").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "deletion").await;
    let (pod, namespace) = (handler.pod(&cluster).await, handler.namespace.clone());
    let uid = pod.uid().unwrap();
    // systemd's slices spell it with another sign.
    let places = async || {
        let name = format!("*{}*", uid.replace('-', "?"));
        cluster
            .exec(&["find", "/sys/fs/cgroup", "/var/lib/kubelet/pods", "/var/log/pods", "-name", &name])
            .await
    };
    assert!(!places().await.unwrap().is_empty(), "there is something that can be left");
    handler.remove(&cluster).await;
    // The kubelet looks once a minute for what it may remove from containerd.
    wait::until("containerd has forgotten the pod", LIMIT, async || {
        Ok(sandboxes(&cluster, &namespace).await.is_empty().then_some(()))
    })
    .await
    .unwrap();
    wait::until("cgroups, volumes and logs are gone", LIMIT, async || {
        Ok(places().await?.is_empty().then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_was_applied_does_not_differ_from_the_manifests() {
    let Some(cluster) = Cluster::alone("diff").await else { return };
    // The examples' own tests do the same with the others.
    for overlay in
        ["runtimeclass", "runtimeclass/ha", "runtimeclass/aot", "runtimeclass/udev", "examples/broker"]
    {
        let folder = e2e::demo::checkout().join(overlay);
        let folder = folder.to_str().unwrap();
        let stand_in = e2e::demo::checkout().join("scripts/cluster.d/akri-stand-in/crds.yaml");
        cluster.kubectl(&["apply", "--filename", stand_in.to_str().unwrap()]).await.unwrap();
        let established =
            ["wait", "--for=condition=Established", "customresourcedefinition/configurations.akri.sh"];
        cluster.kubectl(&established).await.unwrap();
        cluster
            .kubectl(&["apply", "--server-side", "--dry-run=server", "--kustomize", folder])
            .await
            .unwrap();
        cluster.kubectl(&["apply", "--kustomize", folder]).await.unwrap();
        // Fails where there is any difference, and shows it.
        cluster.kubectl(&["diff", "--kustomize", folder]).await.unwrap();
        cluster.kubectl(&["delete", "--kustomize", folder, "--wait"]).await.unwrap();
    }
}
