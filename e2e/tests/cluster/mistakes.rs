//! What users see where something is wrong. docs/troubleshooting.md quotes each, and is held against it here.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, ContainerStateTerminated, Pod};
use kube::Api;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::{Deployment, NAME, Variant, container_of, images};
use crate::namespace::{delete_namespace, event, fresh_namespace};

/// That the page has this text, and that it was said.
pub(crate) fn quoted(text: &str, said: &str) {
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
    let Some(cluster) = Cluster::beside("unknown runtime handler").await else { return };
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
    let Some(cluster) = Cluster::alone("no label").await else { return };
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
    let Some(cluster) = Cluster::beside("missing image").await else { return };
    let namespace = fresh_namespace(&cluster, "missing-image").await;
    create(&cluster, &namespace, "missing", spec("localhost/akri-wasm/no-such-image:dev")).await.unwrap();
    let said = event(&cluster, &namespace, "missing", "Failed").await;
    quoted("failed to resolve reference", &said);
    delete_namespace(&cluster, &namespace).await;
}

#[tokio::test]
async fn a_module_without_the_runtime_class() {
    let Some(cluster) = Cluster::beside("no RuntimeClass").await else { return };
    let namespace = fresh_namespace(&cluster, "no-class").await;
    let [_, wasm] = images(&cluster).await;
    create(&cluster, &namespace, "native", spec(&wasm)).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
    let state = ended(&pods, "native").await;
    let said = format!("{}: {}", state.reason.unwrap_or_default(), state.message.unwrap_or_default());
    quoted("permission denied", &said);
    delete_namespace(&cluster, &namespace).await;
}

#[tokio::test]
async fn a_command_in_a_wasm_container() {
    let Some(cluster) = Cluster::beside("exec into wasm").await else { return };
    let handler = Deployment::apply(&cluster, Variant::OneProxy, "exec").await;
    let set = format!("daemonset/{NAME}");
    let exec = ["exec", "--namespace", &handler.namespace, &set, "-c", "handler", "--", "/debug-echo.wasm"];
    let said = cluster.kubectl(&exec).await.unwrap_err().to_string();
    quoted("the handler does not support exec", &said);
    handler.remove(&cluster).await;
}

/// A command that imports what another engine has.
const FOREIGN: &str = r#"(module
    (import "wasi:http/outgoing-handler@0.2.0" "handle" (func))
    (memory (export "memory") 1)
    (func (export "_start")))"#;

/// `wasm-image` packs neither of these, so they come by another way: crun looks at the command's end, wherever the file is.
#[tokio::test]
async fn a_module_for_another_engine() {
    let Some(cluster) = Cluster::beside("another engine").await else { return };
    let namespace = fresh_namespace(&cluster, "engine").await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), &namespace);
    let modules = [("component", "(component)"), ("foreign", FOREIGN)];
    let data =
        modules.map(|(name, text)| (format!("{name}.wasm"), ByteString(wat::parse_str(text).unwrap())));
    let mut map: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": "modules" } })).unwrap();
    map.binary_data = Some(data.into());
    maps.create(&PostParams::default(), &map).await.unwrap();
    let [_, wasm] = images(&cluster).await;
    for (name, said) in [
        ("component", "loading failed: illegal opcode, Code: 0x117"),
        ("component", "This instruction or syntax requires enabling Component Model proposal"),
        ("foreign", "instantiation failed: unknown import, Code: 0x302"),
        ("foreign", "When linking module: \"wasi:http/outgoing-handler@0.2.0\" , function name: \"handle\""),
    ] {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
        if pods.get_opt(name).await.unwrap().is_none() {
            let mut spec = with(spec(&wasm), "runtimeClassName", json!("crun-wasmedge"));
            spec["volumes"] = json!([{ "name": "modules", "configMap": { "name": "modules" } }]);
            spec["containers"][0]["command"] = json!([format!("/modules/{name}.wasm")]);
            spec["containers"][0]["volumeMounts"] = json!([{ "name": "modules", "mountPath": "/modules" }]);
            create(&cluster, &namespace, name, spec).await.unwrap();
        }
        let state = ended(&pods, name).await;
        assert_eq!((state.exit_code, state.reason.as_deref()), (1, Some("Error")), "{name}");
        quoted(said, &cluster.kubectl(&["logs", "--namespace", &namespace, name]).await.unwrap());
    }
    delete_namespace(&cluster, &namespace).await;
}

/// Waits until the pod's container has ended; how.
async fn ended(pods: &Api<Pod>, name: &str) -> ContainerStateTerminated {
    let terminated = |pod: &Pod| container_of(pod, "main").state.and_then(|state| state.terminated);
    let ended = |pod: Option<&Pod>| pod.is_some_and(|pod| terminated(pod).is_some());
    let ended = tokio::time::timeout(LIMIT, await_condition(pods.clone(), name, ended));
    let pod = ended.await.unwrap_or_else(|_| panic!("{name} does not end")).unwrap();
    terminated(&pod.expect("it was seen")).expect("it was waited for")
}
