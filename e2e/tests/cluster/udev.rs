//! The udev handler as users apply it: devices that are plugged in and taken away, and a broker that uses one.

use std::path::PathBuf;
use std::time::Duration;

use e2e::device_plugin::DevicePlugin;
use e2e::discovered::{Discovered, discovered};
use e2e::loops::{self, Loops, START_UDEVD, id};
use e2e::{demo, wait};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::cluster::{Cluster, LIMIT};
use crate::namespace::{delete_namespace, fresh_namespace};

/// The DaemonSet's name.
const NAME: &str = "akri-udev-wasm";
/// How often a device is plugged in and taken away.
const CYCLES: usize = 100;
/// Until the agent has heard of it. Far below the interval at which the handler looks by itself, which is 60 s.
const HEARD: Duration = Duration::from_secs(10);
/// The number of a loop device that nobody else has.
const NUMBER: usize = 4400;
/// The end of the Instance's name.
const HASH: &str = "c0ffee";
/// Where the kubelet looks for device plugins.
const PLUGINS: &str = "/var/lib/kubelet/device-plugins";

#[tokio::test]
async fn devices_are_plugged_in_seen_and_used() {
    let Some(cluster) = Cluster::alone("udev").await else { return };
    let loops = Loops::open().unwrap();
    cluster.exec(&["sh", "-ec", START_UDEVD]).await.unwrap();
    let namespace = fresh_namespace(&cluster, "udev").await;
    let directory = cluster.akri().join(&namespace);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir(&directory).unwrap();
    let program = std::env::var_os("E2E_PROXY").map_or_else(|| demo::native("akri-proxy"), PathBuf::from);
    let rule = format!("SUBSYSTEM==\"block\", KERNEL==\"loop{NUMBER}\"");
    let details = json!({ "udevRules": [rule], "permissions": "r" }).to_string();
    let agent = Agent::start_for("udev", &program, &directory, &details).await.unwrap();
    apply(&cluster, &namespace, daemon_set(&cluster, &namespace).await).await;
    let at = ["--namespace", &namespace];
    let rollout = ["rollout", "status", "--timeout=90s", &format!("daemonset/{NAME}")];
    cluster.kubectl(&[&at[..], &rollout].concat()).await.unwrap();

    let (mut seen, _) = agent.until(&[], 0, LIMIT).await;
    for _ in 0..CYCLES {
        loops.plug(NUMBER).unwrap();
        (seen, _) = agent.until(&[&id(NUMBER)], seen, HEARD).await;
        loops.unplug(NUMBER).unwrap();
        (seen, _) = agent.until(&[], seen, HEARD).await;
    }
    assert_eq!(agent.count(), 1 + 2 * CYCLES, "each change is one list");

    loops.plug(NUMBER).unwrap();
    agent.until(&[&id(NUMBER)], seen, HEARD).await;
    let endpoint = directory.join("udev-wasm-0.sock");
    let device = discovered(&program, &endpoint, &details).await.unwrap();
    a_broker_reads(&cluster, &namespace, device).await;
    loops::detach(NUMBER);
    loops.unplug(NUMBER).unwrap();

    drop(agent);
    delete_namespace(&cluster, &namespace).await;
    std::fs::remove_dir_all(&directory).unwrap();
}

/// The kubelet gives a broker its device, told by a device plugin as Akri's tells it; the broker's pod is the example's.
async fn a_broker_reads(cluster: &Cluster, namespace: &str, device: Discovered) {
    let attach = loops::attach(NUMBER).unwrap();
    cluster.exec(&attach.each_ref().map(String::as_str)).await.unwrap();
    let node = device.device_specs[0].host_path.clone();
    let group = cluster.exec(&["stat", "--format=%g", &node]).await.unwrap();

    let resource = format!("akri.sh/udev-broker-wasm-{HASH}");
    let plugins = cluster.file(PLUGINS);
    let plugin = DevicePlugin::start(&plugins, "akri-e2e.sock", &resource, HASH, device).await.unwrap();
    let path = demo::checkout().join("examples/udev-broker/configuration.yaml");
    let mut configuration: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut spec = configuration["spec"]["brokerSpec"]["brokerPodSpec"].take();
    spec["securityContext"]["supplementalGroups"] = json!([group.trim().parse::<u32>().unwrap()]);
    for kind in ["requests", "limits"] {
        let resources = spec["containers"][0]["resources"][kind].as_object_mut().unwrap();
        let count = resources.remove("{{PLACEHOLDER}}").unwrap();
        resources.insert(resource.clone(), count);
    }
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "broker" }, "spec": spec });
    // The scheduler has to have heard of the resource from the kubelet: until then the pod waits.
    apply(cluster, namespace, pod).await;
    let at = ["--namespace", namespace];
    let expected = "at 16: 61 6b 72 69 20 62 6c 6f 63 6b 20 30 30 30 31 0a |akri block 0001.|";
    wait::until("the broker has read its device", LIMIT, async || {
        // There is no log before there is a container.
        let said = cluster.kubectl(&[&at[..], &["logs", "broker"]].concat()).await.unwrap_or_default();
        Ok(said.contains(&format!("round 2: {node} {expected}")).then_some(()))
    })
    .await
    .unwrap();
    let delete = ["delete", "pod", "broker", "--wait", "--timeout=60s"];
    cluster.kubectl(&[&at[..], &delete].concat()).await.unwrap();
    drop(plugin);
}

/// The DaemonSet, with the test's directory for Akri's and without the grace time, in which a device that is gone stays.
async fn daemon_set(cluster: &Cluster, namespace: &str) -> Value {
    let folder = demo::checkout().join("runtimeclass/udev");
    let text = cluster.kubectl(&["kustomize", folder.to_str().unwrap()]).await.unwrap();
    let mut documents =
        serde_yaml_ng::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap());
    let mut set = documents.find(|document| document["kind"] == "DaemonSet").unwrap();
    let pod = &mut set["spec"]["template"]["spec"];
    let named = |list: &Value, name: &str| -> usize {
        list.as_array().unwrap().iter().position(|entry| entry["name"] == name).unwrap()
    };
    let akri = named(&pod["volumes"], "akri");
    pod["volumes"][akri]["hostPath"]["path"] = json!(format!("/var/lib/akri/{namespace}"));
    let handler = named(&pod["containers"], "handler");
    let grace = json!({ "name": "REMOVAL_GRACE_MILLISECONDS", "value": "0" });
    pod["containers"][handler]["env"].as_array_mut().unwrap().push(grace);
    set
}

/// `kubectl apply`
async fn apply(cluster: &Cluster, namespace: &str, object: Value) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), object.to_string()).unwrap();
    let apply = ["apply", "--namespace", namespace, "--filename", file.path().to_str().unwrap()];
    cluster.kubectl(&apply).await.unwrap();
}
