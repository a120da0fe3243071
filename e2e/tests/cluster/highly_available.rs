//! The overlay `ha`: two proxies over one exchange. The agent sees one list, and no other whatever happens to either.

use crate::cluster::Cluster;
use crate::deployment::{DEVICES, Deployment, NAME, Variant, container_of};

/// How often each of the two proxies is killed: 20 times in all.
const KILLS: usize = 10;
/// How often all is rolled out again.
const ROLLOUTS: usize = 5;

#[tokio::test]
async fn either_proxy_may_be_killed_and_the_list_never_shrinks() {
    let Some(cluster) = Cluster::beside("ha, proxies killed").await else { return };
    let handler = Deployment::apply(&cluster, Variant::TwoProxies, "ha-killed").await;
    for proxy in ["proxy", "proxy-b"] {
        handler.serves(&cluster, proxy).await;
    }
    for kill in 0..KILLS {
        for proxy in ["proxy", "proxy-b"] {
            let now = handler.kill(&cluster, proxy).await;
            assert_eq!(usize::try_from(now.restart_count).unwrap(), kill + 1);
            // Before that the other one is the last that carries the list.
            handler.serves(&cluster, proxy).await;
            handler.agent.saw_only(&DEVICES);
        }
    }
    handler.remove(&cluster).await;
}

#[tokio::test]
async fn rollouts_are_not_seen() {
    let Some(cluster) = Cluster::beside("ha, rollouts").await else { return };
    let handler = Deployment::apply(&cluster, Variant::TwoProxies, "ha-rollout").await;
    for _ in 0..ROLLOUTS {
        rollout(&cluster, &handler).await;
        handler.agent.saw_only(&DEVICES);
    }
    handler.remove(&cluster).await;
}

#[tokio::test]
async fn a_rollout_of_one_proxy_is_not_seen_either() {
    let Some(cluster) = Cluster::beside("a rollout").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "rollout").await;
    for _ in 0..2 {
        rollout(&cluster, &handler).await;
        handler.agent.saw_only(&DEVICES);
    }
    handler.remove(&cluster).await;
}

#[tokio::test]
async fn a_new_image_of_the_handler_is_not_seen() {
    let Some(cluster) = Cluster::beside("a new image").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "new-image").await;
    let before = handler.pod(&cluster).await;
    let image = another_image(&cluster).await;
    let set = format!("daemonset/{NAME}");
    let change = format!("handler={image}");
    cluster.kubectl(&["set", "image", "--namespace", &handler.namespace, &set, &change]).await.unwrap();
    handler.ready(&cluster).await;
    handler.gone(&cluster, &before).await;
    let [before, now] = [before, handler.pod(&cluster).await].map(|pod| container_of(&pod, "handler"));
    assert_eq!(now.image, image);
    assert_ne!(now.image_id, before.image_id);
    handler.agent.saw_only(&DEVICES);
    handler.remove(&cluster).await;
}

/// The handler under another tag and digest, in the node's registry; its name.
async fn another_image(cluster: &Cluster) -> String {
    let image = "localhost/akri-wasm/debug-echo:e2e-next";
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("next.tar");
    let [archive, module] = [archive, e2e::demo::checkout().join("target/guest/debug-echo.wasm")]
        .map(|path| path.to_str().unwrap().to_owned());
    let build = ["build", &module, "--tag", image, "--output", &archive, "--label", "release=next"];
    cluster.wasm_image(&build).await.unwrap();
    cluster.script("push", &[&archive]).await.unwrap();
    image.to_owned()
}

/// As a user does it, until the old pod is gone.
async fn rollout(cluster: &Cluster, handler: &Deployment) {
    let before = handler.pod(cluster).await;
    let set = format!("daemonset/{NAME}");
    cluster.kubectl(&["rollout", "restart", "--namespace", &handler.namespace, &set]).await.unwrap();
    handler.ready(cluster).await;
    handler.gone(cluster, &before).await;
}
