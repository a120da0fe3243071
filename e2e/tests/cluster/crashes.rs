//! Containers that crash: the kubelet starts them again, and the agent sees as little of it as can be.

use std::time::{Duration, SystemTime};

use e2e::cri::Cri;

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::{DEVICES, Deployment, Variant, container_of, id_of};

/// From a proxy's start to its list at the agent.
const BACK: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_killed_handler_is_restarted_and_the_stream_lives() {
    let Some(cluster) = Cluster::take("handler killed").await else { return };
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
    let Some(cluster) = Cluster::take("proxy killed").await else { return };
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

/// When containerd started a container, to the nanosecond; the kubelet says seconds.
async fn started(cri: &mut Cri, id: &str) -> SystemTime {
    let nanoseconds = cri.inspect(id).await.unwrap().status.started_at;
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds.try_into().unwrap())
}
