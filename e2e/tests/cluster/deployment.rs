//! debugEcho's DaemonSet as users apply it, in a namespace of its own and with a directory of its own for Akri's sockets.

use std::path::PathBuf;

use anyhow::Context;
use e2e::manifest::Configuration;
use e2e::{demo, wait};
use k8s_cri::v1;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::cluster::{Cluster, LIMIT};
use crate::namespace::{delete_namespace, fresh_namespace};

/// The DaemonSet's name, and its pods' label.
pub(crate) const NAME: &str = "akri-debug-echo-wasm";
/// What it discovers.
pub(crate) const DEVICES: [&str; 2] = ["foo0", "foo1"];
/// Who applies, for the API server.
const MANAGER: &str = "e2e";

/// Which kustomization.
#[derive(Clone, Copy)]
pub(crate) enum Variant {
    OneProxy,
    TwoProxies,
}

/// The deployed handler and the agent's double beside it.
pub(crate) struct Deployment {
    pub(crate) namespace: String,
    pub(crate) agent: Agent,
    directory: PathBuf,
}

impl Deployment {
    /// Applies it and waits until it is Ready and its devices are seen.
    pub(crate) async fn apply(cluster: &Cluster, variant: Variant, test: &str) -> Self {
        Self::apply_with(cluster, variant, test, |_| {}).await
    }

    /// The same with something changed in the DaemonSet's pod, whose containers these are.
    pub(crate) async fn apply_with(
        cluster: &Cluster,
        variant: Variant,
        test: &str,
        change: impl Fn(&mut Value),
    ) -> Self {
        let namespace = fresh_namespace(cluster, test).await;
        // Of an earlier run, which may have been killed.
        let directory = cluster.akri().join(&namespace);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        let agent = start_agent(&directory).await;
        for mut object in kustomized(cluster, variant).await {
            if object["kind"] == "DaemonSet" {
                change(&mut object["spec"]["template"]["spec"]["containers"]);
            }
            apply(cluster, &namespace, object).await.unwrap();
        }
        let deployment = Self { namespace, agent, directory };
        deployment.ready(cluster).await;
        deployment.agent.until(&DEVICES, 0, LIMIT).await;
        deployment
    }

    /// Another agent in the same place: the first one ended with its node.
    pub(crate) async fn restart_agent(&mut self) {
        std::fs::create_dir_all(&self.directory).unwrap();
        self.agent = start_agent(&self.directory).await;
    }

    /// Waits until every pod is what the DaemonSet says, and available.
    pub(crate) async fn ready(&self, cluster: &Cluster) {
        let sets: Api<DaemonSet> = Api::namespaced(cluster.client(), &self.namespace);
        let available = |set: Option<&DaemonSet>| {
            set.is_some_and(|set| {
                let status = set.status.clone().unwrap_or_default();
                status.observed_generation == set.metadata.generation
                    && status.desired_number_scheduled == 1
                    && status.updated_number_scheduled == Some(1)
                    && status.number_available == Some(1)
            })
        };
        tokio::time::timeout(LIMIT, await_condition(sets, NAME, available))
            .await
            .unwrap_or_else(|_| panic!("{NAME} in {} is not available after {LIMIT:?}", self.namespace))
            .unwrap();
    }

    pub(crate) fn pods(&self, cluster: &Cluster) -> Api<Pod> {
        Api::namespaced(cluster.client(), &self.namespace)
    }

    /// The pod that is not on its way out.
    pub(crate) async fn pod(&self, cluster: &Cluster) -> Pod {
        let selector = ListParams::default().labels(&format!("app.kubernetes.io/name={NAME}"));
        let pods = self.pods(cluster).list(&selector).await.unwrap().items;
        let mut staying = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let pod = staying.next().expect("the DaemonSet has a pod");
        assert!(staying.next().is_none(), "and only one");
        pod
    }

    /// Kills a container by the CRI, as a crash would, and waits until the kubelet runs it again; the new one.
    pub(crate) async fn kill(&self, cluster: &Cluster, container: &str) -> ContainerStatus {
        let before = container_of(&self.pod(cluster).await, container);
        cluster.cri().await.stop(&id_of(&before), 0).await.unwrap();
        self.restarted(cluster, container, &before).await
    }

    /// Waits until the kubelet runs a container again that ended; the new one.
    pub(crate) async fn restarted(
        &self,
        cluster: &Cluster,
        container: &str,
        before: &ContainerStatus,
    ) -> ContainerStatus {
        let again = |now: &ContainerStatus| {
            now.restart_count > before.restart_count
                && now.state.as_ref().is_some_and(|state| state.running.is_some())
        };
        self.until(cluster, container, "is started again", again).await
    }

    /// Waits until a container of the pod is as is wanted.
    pub(crate) async fn until(
        &self,
        cluster: &Cluster,
        container: &str,
        what: &str,
        wanted: impl Fn(&ContainerStatus) -> bool,
    ) -> ContainerStatus {
        let name = self.pod(cluster).await.name_any();
        let wanted = |pod: Option<&Pod>| pod.is_some_and(|pod| wanted(&container_of(pod, container)));
        let pod = tokio::time::timeout(LIMIT, await_condition(self.pods(cluster), &name, wanted))
            .await
            .unwrap_or_else(|_| panic!("waited {LIMIT:?} in vain until {container} {what}"))
            .unwrap();
        container_of(&pod.expect("it is there"), container)
    }

    /// A second stream to the proxy, as another Configuration makes it; it ends with the value.
    pub(crate) async fn ask(&self, details: &str) -> Agent {
        let endpoint = self.directory.join("debugEcho-wasm-0.sock");
        Agent::ask(&proxy_program(), &endpoint, details).await.unwrap()
    }

    /// Waits until a pod is gone.
    pub(crate) async fn gone(&self, cluster: &Cluster, pod: &Pod) {
        let uid = pod.uid().expect("the API server gave it one");
        let name = pod.name_any();
        let gone = await_condition(self.pods(cluster), &name, conditions::is_deleted(&uid));
        tokio::time::timeout(LIMIT, gone).await.unwrap_or_else(|_| panic!("{name} does not go")).unwrap();
    }

    /// `kubectl exec -c PROXY -- akri-proxy ARG...`
    pub(crate) async fn proxy(
        &self,
        cluster: &Cluster,
        proxy: &str,
        arguments: &[&str],
    ) -> anyhow::Result<String> {
        let target = format!("daemonset/{NAME}");
        let exec = ["exec", "--namespace", &self.namespace, &target, "-c", proxy, "--", "akri-proxy"];
        cluster.kubectl(&[&exec, arguments].concat()).await
    }

    /// Waits until a proxy that was killed carries the agent's stream again, with its list.
    pub(crate) async fn serves(&self, cluster: &Cluster, proxy: &str) {
        wait::until(&format!("{proxy} serves a stream"), LIMIT, async || {
            // It may not be there yet.
            let Ok(said) = self.proxy(cluster, proxy, &["status", "-o", "json"]).await else {
                return Ok(None);
            };
            let state: akri_proxy::state::State = serde_json::from_str(&said)?;
            Ok((state.streams.open > 0 && state.streams.waiting == 0).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Deletes all of it, and checks that nothing of it runs, and nothing is left in Akri's directory.
    pub(crate) async fn remove(self, cluster: &Cluster) {
        delete_namespace(cluster, &self.namespace).await;
        let sandboxes = sandboxes(cluster, &self.namespace).await;
        let ready = |sandbox: &v1::PodSandbox| sandbox.state() == v1::PodSandboxState::SandboxReady;
        assert!(!sandboxes.iter().any(ready), "{sandboxes:?}");
        drop(self.agent);
        // What the agent's double had there is not ours.
        let files = std::fs::read_dir(&self.directory).unwrap().map(|file| file.unwrap().file_name());
        let sockets: Vec<_> = files.filter(|name| name.to_string_lossy().starts_with("debugEcho")).collect();
        assert!(sockets.is_empty(), "sockets are left: {sockets:?}");
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// What containerd has of a namespace's pods.
pub(crate) async fn sandboxes(cluster: &Cluster, namespace: &str) -> Vec<v1::PodSandbox> {
    cluster.cri().await.sandboxes(&[("io.kubernetes.pod.namespace", namespace)]).await.unwrap()
}

/// What the kubelet says of a container.
pub(crate) fn container_of(pod: &Pod, name: &str) -> ContainerStatus {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    containers.into_iter().find(|container| container.name == name).unwrap_or_default()
}

/// Its name in containerd.
pub(crate) fn id_of(container: &ContainerStatus) -> String {
    let id = container.container_id.as_deref().and_then(|id| id.strip_prefix("containerd://"));
    id.expect("the container was started").to_owned()
}

/// The agent's double, asking for debugEcho's devices.
pub(crate) async fn start_agent(directory: &std::path::Path) -> Agent {
    let details = Configuration::ours().unwrap().spec.discovery_handler.discovery_details;
    Agent::start(&proxy_program(), directory, &details).await.unwrap()
}

fn proxy_program() -> PathBuf {
    std::env::var_os("E2E_PROXY").map_or_else(|| demo::native("akri-proxy"), PathBuf::from)
}

/// The objects of a kustomization, as `kubectl apply -k` would apply them.
async fn kustomized(cluster: &Cluster, variant: Variant) -> Vec<Value> {
    let folder = demo::checkout().join(match variant {
        Variant::OneProxy => "runtimeclass",
        Variant::TwoProxies => "runtimeclass/ha",
    });
    let text = cluster.kubectl(&["kustomize", folder.to_str().unwrap()]).await.unwrap();
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents.map(|document| Value::deserialize(document).unwrap()).collect()
}

/// Server-side: in the test's namespace, and with the test's directory for Akri's. The agent's double has no use for the
/// Configuration; it is part of what `kubectl apply -k` is tested with.
async fn apply(cluster: &Cluster, namespace: &str, mut object: Value) -> anyhow::Result<()> {
    let params = PatchParams::apply(MANAGER).force();
    let name = object["metadata"]["name"].as_str().context("an object has no name")?.to_owned();
    match object["kind"].as_str() {
        Some("RuntimeClass") => {
            let classes: Api<RuntimeClass> = Api::all(cluster.client());
            classes.patch(&name, &params, &Patch::Apply(&object)).await?;
        }
        Some("DaemonSet") => {
            let volumes = &mut object["spec"]["template"]["spec"]["volumes"];
            let volumes = volumes.as_array_mut().context("the pod has no volumes")?;
            let akri =
                volumes.iter_mut().find(|volume| volume["name"] == "akri").context("no volume akri")?;
            akri["hostPath"]["path"] = json!(format!("/var/lib/akri/{namespace}"));
            let sets: Api<DaemonSet> = Api::namespaced(cluster.client(), namespace);
            sets.patch(&name, &params, &Patch::Apply(&object)).await?;
        }
        _ => {}
    }
    Ok(())
}

/// The images of the proxy, a native program, and of the handler.
pub(crate) async fn images(cluster: &Cluster) -> [String; 2] {
    let objects = kustomized(cluster, Variant::OneProxy).await;
    let set = objects.iter().find(|object| object["kind"] == "DaemonSet").unwrap();
    let containers = set["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    ["proxy", "handler"].map(|name| {
        let container = containers.iter().find(|container| container["name"] == name).unwrap();
        container["image"].as_str().unwrap().to_owned()
    })
}
