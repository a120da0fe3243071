//! Containers that crash: the kubelet starts them again, and the agent sees as little of it as can be.

use std::time::{Duration, SystemTime};

use e2e::cri::Cri;
use serde_json::json;

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::{DEVICES, Deployment, Variant, container_of, id_of};

/// From a proxy's start to its list at the agent.
const BACK: Duration = Duration::from_secs(1);
/// What a Configuration may ask for, and a handler of 8 MiB cannot give.
const GREEDY_DEVICES: usize = 4000;
const GREEDY_BYTES: usize = 150;

#[tokio::test]
async fn a_killed_handler_is_restarted_and_the_stream_lives() {
    let Some(cluster) = Cluster::beside("handler killed").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "handler-killed").await;
    let proxy = id_of(&container_of(&handler.pod(&cluster).await, "proxy"));
    for _ in 0..2 {
        handler.kill(&cluster, "handler").await;
        handler.ready(&cluster).await;
    }
    let pod = handler.pod(&cluster).await;
    assert_eq!(container_of(&pod, "handler").restart_count, 2);
    assert_eq!(id_of(&container_of(&pod, "proxy")), proxy, "the proxy is untouched");
    handler.agent.saw_only(&DEVICES);
    handler.remove(&cluster).await;
}

#[tokio::test]
async fn a_killed_proxy_is_back_within_a_second_of_its_restart() {
    let Some(cluster) = Cluster::alone("proxy killed").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "proxy-killed").await;
    let before = id_of(&container_of(&handler.pod(&cluster).await, "handler"));
    let seen = handler.agent.count();
    let restarted = handler.kill(&cluster, "proxy").await;
    let (gone, _) = handler.agent.until(&[], seen, LIMIT).await;
    let (_, back) = handler.agent.until(&DEVICES, gone, LIMIT).await;
    let started = started(&mut cluster.cri().await, &id_of(&restarted)).await;
    let took = back.duration_since(started).unwrap();
    println!("the proxy's list came {} ms after its start", took.as_millis());
    assert!(took < BACK, "{took:?}");
    handler.ready(&cluster).await;
    assert_eq!(
        id_of(&container_of(&handler.pod(&cluster).await, "handler")),
        before,
        "the handler is untouched"
    );
    handler.remove(&cluster).await;
}

/// A Configuration whose list takes more memory than its handler has: the crash of one job, again and again.
#[tokio::test]
async fn a_handler_that_is_killed_for_its_memory_is_restarted_and_no_list_is_lost() {
    let Some(cluster) = Cluster::beside("handler out of memory").await else { return };
    let scarce = |containers: &mut serde_json::Value| {
        let mut containers = containers.as_array_mut().unwrap().iter_mut();
        let handler = containers.find(|container| container["name"] == "handler").unwrap();
        handler["resources"]["limits"]["memory"] = json!("8Mi");
    };
    let handler = Deployment::apply_with(&cluster, Variant::OneProxy, "memory", scarce).await;
    let proxy = id_of(&container_of(&handler.pod(&cluster).await, "proxy"));
    let descriptions: Vec<String> =
        (0..GREEDY_DEVICES).map(|number| format!("{number:0>width$}", width = GREEDY_BYTES)).collect();
    let greedy = handler.ask(&json!({ "descriptions": descriptions }).to_string()).await;
    let killed = |status: &k8s_openapi::api::core::v1::ContainerStatus| {
        let ended = status.last_state.as_ref().and_then(|last| last.terminated.as_ref());
        status.restart_count > 1 && ended.is_some_and(|ended| ended.reason.as_deref() == Some("OOMKilled"))
    };
    handler.until(&cluster, "handler", "is killed for its memory twice", killed).await;
    handler.agent.saw_only(&DEVICES);
    // The Configuration is deleted.
    drop(greedy);
    handler.ready(&cluster).await;
    handler.agent.saw_only(&DEVICES);
    assert_eq!(id_of(&container_of(&handler.pod(&cluster).await, "proxy")), proxy, "the proxy is untouched");
    // And it is the handler that answers.
    handler.proxy(&cluster, "proxy", &["input", "availability", "OFFLINE"]).await.unwrap();
    handler.agent.until(&[], 1, LIMIT).await;
    handler.remove(&cluster).await;
}

/// When containerd started a container, to the nanosecond; the kubelet says seconds.
async fn started(cri: &mut Cri, id: &str) -> SystemTime {
    let nanoseconds = cri.inspect(id).await.unwrap().status.started_at;
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds.try_into().unwrap())
}
