//! An image from a registry that wants a password: Debian's, a second one on the node.

use std::path::Path;

use e2e::wait;
use image_peers::{CONFIGURATION, Guard, PASSWORD, Setting, USER};
use kube::ResourceExt;

use crate::cluster::{Cluster, LIMIT};
use crate::command::run;
use crate::examples::apply;
use crate::mistakes::quoted;
use crate::namespace::{delete_namespace, event, fresh_namespace};
use crate::variants::{ended, pod_of};

/// Where the example's image is.
const REGISTRY: &str = "localhost:5000";
const IMAGE: &str = "localhost:5000/private/hello:dev";
/// The registry's files on the node, and its unit.
const FOLDER: &str = "/srv/e2e-registry";
const UNIT: &str = "e2e-registry";
/// The Secret that the example names.
const SECRET: &str = "hello-wasm-registry";

#[tokio::test]
async fn an_image_that_wants_a_password_comes_with_its_secret() {
    let Some(cluster) = Cluster::beside("private registry").await else { return };
    let namespace = fresh_namespace(&cluster, "private").await;
    start_registry(&cluster).await;
    push(&cluster).await;

    apply(&cluster, &namespace, "hello-variants/private").await;
    let job = "hello-wasm-private";
    let pod = wait::until("the Job has a pod", LIMIT, async || {
        let pods = ["get", "pods", "--namespace", &namespace, "--output", "name"];
        Ok((!cluster.kubectl(&pods).await?.is_empty()).then_some(()))
    });
    pod.await.unwrap();
    let pod = pod_of(&cluster, &namespace, job).await.name_any();
    let said = event(&cluster, &namespace, &pod, "Failed").await;
    assert!(!said.contains(PASSWORD), "{said}");
    quoted("authorization failed: no basic auth credentials", &said);

    let [server, user, password] = [("server", REGISTRY), ("username", USER), ("password", PASSWORD)]
        .map(|(key, value)| format!("--docker-{key}={value}"));
    let create = ["create", "secret", "docker-registry", "--namespace", &namespace, SECRET];
    cluster.kubectl(&[&create[..], &[&server, &user, &password]].concat()).await.unwrap();
    let pod = ended(&cluster, &namespace, job, "Complete").await.name_any();
    let log = cluster.kubectl(&["logs", "--namespace", &namespace, &pod]).await.unwrap();
    assert!(log.contains("hello from /hello.wasm"), "{log}");
    cluster.exec(&["systemctl", "stop", UNIT]).await.unwrap();
    cluster.exec(&["rm", "-rf", "--one-file-system", FOLDER]).await.unwrap();
    delete_namespace(&cluster, &namespace).await;
}

async fn start_registry(cluster: &Cluster) {
    // Of an earlier run, which may have been killed.
    let _ = cluster.exec(&["systemctl", "stop", UNIT]).await;
    let [_, root] = cluster.inside();
    let folder = Path::new(&root).join(FOLDER.trim_start_matches('/'));
    std::fs::create_dir_all(&folder).unwrap();
    let listen = REGISTRY.replace("localhost", "127.0.0.1");
    Setting { guard: Guard::Password, listen: &listen, names: &[], seen_at: Path::new(FOLDER) }
        .write(&folder)
        .unwrap();
    let configuration = format!("{FOLDER}/{CONFIGURATION}");
    let unit = format!("--unit={UNIT}");
    cluster
        .exec(&["systemd-run", "--collect", &unit, "docker-registry", "serve", &configuration])
        .await
        .unwrap();
    let port = listen.replace(':', "/");
    let listens = format!("until (: <>/dev/tcp/{port}) 2>/dev/null; do sleep 0.05; done");
    cluster.exec(&["timeout", "20", "bash", "-c", &listens]).await.unwrap();
}

/// From here: this thread, and so what it starts, is in the node's network.
async fn push(cluster: &Cluster) {
    let archive = e2e::demo::checkout().join("target/images/hello.tar");
    let credentials = [format!("WASM_IMAGE_USERNAME={USER}"), format!("WASM_IMAGE_PASSWORD={PASSWORD}")];
    let program = cluster.wasm_image_program();
    let push =
        [program.to_str().unwrap(), "push", archive.to_str().unwrap(), IMAGE, "--plain-http", "--quiet"];
    let arguments = [&["NO_PROXY=*", "no_proxy=*", &credentials[0], &credentials[1]][..], &push].concat();
    run(Path::new("env"), &arguments).await.unwrap();
}
