//! What users see where something is wrong. docs/troubleshooting.md quotes each, and is held against it here.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::{Deployment, NAME, Variant, container_of, images};
use crate::namespace::{delete_namespace, event, fresh_namespace};

/// That the page has this text, and that it was said.
fn quoted(text: &str, said: &str) {
    assert!(said.contains(text), "{text:?} was not said, but: {said}");
    let page = std::fs::read_to_string(e2e::demo::checkout().join("docs/troubleshooting.md")).unwrap();
    assert!(page.contains(text), "docs/troubleshooting.md does not quote {text:?}, of: {said}");
}

async fn create(cluster: &Cluster, namespace: &str, name: &str, spec: Value) -> kube::Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let pod = json!({ "metadata": { "name": name }, "spec": spec });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await
}

/// A pod of one container that is not started again.
fn spec(image: &str) -> Value {
    json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": false,
        "containers": [{ "name": "main", "image": image, "imagePullPolicy": "Always" }],
    })
}

fn with(mut spec: Value, key: &str, value: Value) -> Value {
    spec[key] = value;
    spec
}

#[tokio::test]
async fn a_runtime_handler_that_the_node_does_not_have() {
    let Some(cluster) = Cluster::take("unknown runtime handler").await else { return };
    let namespace = fresh_namespace(&cluster, "unknown-handler").await;
    let [_, wasm] = images(&cluster).await;
    let missing =
        create(&cluster, &namespace, "no-class", with(spec(&wasm), "runtimeClassName", json!("e2e-none")))
            .await;
    quoted("is forbidden: pod rejected: RuntimeClass", &missing.unwrap_err().to_string());

    let class = r#"{"apiVersion":"node.k8s.io/v1","kind":"RuntimeClass","metadata":{"name":"e2e-unknown"},"handler":"unknown"}"#;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), class).unwrap();
    cluster.kubectl(&["apply", "--filename", file.path().to_str().unwrap()]).await.unwrap();
    create(&cluster, &namespace, "unknown", with(spec(&wasm), "runtimeClassName", json!("e2e-unknown")))
        .await
        .unwrap();
    let said = event(&cluster, &namespace, "unknown", "FailedCreatePodSandBox").await;
    quoted("no runtime for \"unknown\" is configured", &said);
    cluster.kubectl(&["delete", "runtimeclass", "e2e-unknown"]).await.unwrap();
    delete_namespace(&cluster, &namespace).await;
}

#[tokio::test]
async fn a_node_without_the_label() {
    let Some(cluster) = Cluster::take("no label").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "no-label").await;
    let [_, wasm] = images(&cluster).await;
    let label = "akri-wasm/runtime";
    cluster.kubectl(&["label", "node", cluster.node(), &format!("{label}-")]).await.unwrap();
    let class = with(spec(&wasm), "runtimeClassName", json!("crun-wasmedge"));
    create(&cluster, &handler.namespace, "unscheduled", class).await.unwrap();
    let said = event(&cluster, &handler.namespace, "unscheduled", "FailedScheduling").await;
    cluster.kubectl(&["label", "node", cluster.node(), &format!("{label}=crun-wasmedge")]).await.unwrap();
    quoted("didn't match Pod's node affinity/selector", &said);
    handler.ready(&cluster).await;
    handler.remove(&cluster).await;
}

#[tokio::test]
async fn an_image_that_is_not_there() {
    let Some(cluster) = Cluster::take("missing image").await else { return };
    let namespace = fresh_namespace(&cluster, "missing-image").await;
    create(&cluster, &namespace, "missing", spec("localhost/akri-wasm/no-such-image:dev")).await.unwrap();
    let said = event(&cluster, &namespace, "missing", "Failed").await;
    quoted("failed to resolve reference", &said);
    delete_namespace(&cluster, &namespace).await;
}

#[tokio::test]
async fn a_module_without_the_runtime_class() {
    let Some(cluster) = Cluster::take("no RuntimeClass").await else { return };
    let namespace = fresh_namespace(&cluster, "no-class").await;
    let [_, wasm] = images(&cluster).await;
    create(&cluster, &namespace, "native", spec(&wasm)).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
    let ended = |pod: Option<&Pod>| {
        pod.is_some_and(|pod| container_of(pod, "main").state.is_some_and(|state| state.terminated.is_some()))
    };
    let pod =
        tokio::time::timeout(LIMIT, await_condition(pods, "native", ended)).await.expect("it ends").unwrap();
    let state = container_of(&pod.unwrap(), "main").state.unwrap().terminated.unwrap();
    let said = format!("{}: {}", state.reason.unwrap_or_default(), state.message.unwrap_or_default());
    quoted("permission denied", &said);
    delete_namespace(&cluster, &namespace).await;
}

#[tokio::test]
async fn a_command_in_a_wasm_container() {
    let Some(cluster) = Cluster::take("exec into wasm").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "exec").await;
    let set = format!("daemonset/{NAME}");
    let exec = ["exec", "--namespace", &handler.namespace, &set, "-c", "handler", "--", "/debug-echo.wasm"];
    let said = cluster.kubectl(&exec).await.unwrap_err().to_string();
    quoted("the handler does not support exec", &said);
    handler.remove(&cluster).await;
}
