//! The examples, typed as their READMEs say.

use e2e::{demo, wait};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::cluster::{Cluster, LIMIT};
use crate::namespace::{delete_namespace, fresh_namespace};

/// Applies an example as its README says, after a server-side dry run; what is there then does not differ from the manifests.
/// Where they are.
pub(crate) async fn apply(cluster: &Cluster, namespace: &str, example: &str) -> String {
    let folder = demo::checkout().join("examples").join(example).to_str().unwrap().to_owned();
    let from = ["--namespace", namespace, "--kustomize", &folder];
    let dry_run = ["apply", "--server-side", "--dry-run=server"];
    cluster.kubectl(&[&dry_run[..], &from].concat()).await.unwrap();
    cluster.kubectl(&[&["apply"][..], &from].concat()).await.unwrap();
    // Fails where there is any difference, and shows it.
    cluster.kubectl(&[&["diff"][..], &from].concat()).await.unwrap();
    folder
}

#[tokio::test]
async fn hello_is_given_what_kubernetes_gives_to_any_container() {
    let Some(cluster) = Cluster::beside("hello").await else { return };
    let namespace = fresh_namespace(&cluster, "hello").await;
    let at = ["--namespace", &namespace];
    let folder = apply(&cluster, &namespace, "hello").await;
    let job = "job/hello-wasm";
    let complete = ["wait", "--for=condition=complete", "--timeout=60s", job];
    cluster.kubectl(&[&at[..], &complete].concat()).await.unwrap();
    let log = cluster.kubectl(&[&at[..], &["logs", job]].concat()).await.unwrap();
    let pod = "jsonpath={.items[0].metadata.name}";
    let pod = cluster.kubectl(&[&at[..], &["get", "pods", "--output", pod]].concat()).await.unwrap();
    for line in [
        "hello from /hello.wasm",
        "argument one",
        "argument two words",
        "variable FOO=bar",
        "variable GREETING=good morning",
        &format!("variable POD_NAME={pod}"),
        "file /etc/hello/greeting: good morning",
        "file /etc/hello/motd.txt: a file from a ConfigMap",
        "this line goes to standard error",
    ] {
        assert!(log.lines().any(|said| said == line), "{line:?} is not in the log: {log}");
    }
    cluster.kubectl(&[&at[..], &["delete", "--kustomize", &folder, "--wait"]].concat()).await.unwrap();
    delete_namespace(&cluster, &namespace).await;
}

/// What Akri's controller would make of the Configurations, with the variable that the device plugin adds; but without its
/// resource, for there is no plugin.
#[tokio::test]
async fn brokers_say_which_device_they_were_given() {
    let Some(cluster) = Cluster::beside("broker").await else { return };
    let namespace = fresh_namespace(&cluster, "broker").await;
    let file = |name: &str| {
        let path = demo::checkout().join("examples/broker").join(name);
        serde_yaml_ng::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let pod = file("pod.yaml")["spec"]["brokerSpec"]["brokerPodSpec"].take();
    let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
    let pod = json!({ "metadata": { "name": "broker" }, "spec": with_device(pod) });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let mut job = file("job.yaml")["spec"]["brokerSpec"]["brokerJobSpec"].take();
    let template = job["template"]["spec"].take();
    job["template"]["spec"] = with_device(template);
    let jobs: Api<Job> = Api::namespaced(cluster.client(), &namespace);
    let job = json!({ "metadata": { "name": "broker" }, "spec": job });
    jobs.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();

    let at = ["--namespace", &namespace];
    let complete = ["wait", "--for=condition=complete", "--timeout=60s", "job/broker"];
    cluster.kubectl(&[&at[..], &complete].concat()).await.unwrap();
    let said = cluster.kubectl(&[&at[..], &["logs", "job/broker"]].concat()).await.unwrap();
    assert_eq!(said, "round 1: DEBUG_ECHO_DESCRIPTION_8120FE=foo0\n");
    let running = ["wait", "--for=condition=Ready", "--timeout=60s", "pod/broker"];
    cluster.kubectl(&[&at[..], &running].concat()).await.unwrap();
    wait::until("the broker says its device", LIMIT, async || {
        let said = cluster.kubectl(&[&at[..], &["logs", "broker"]].concat()).await?;
        Ok(said.contains("round 1: DEBUG_ECHO_DESCRIPTION_8120FE=foo0").then_some(()))
    })
    .await
    .unwrap();
    delete_namespace(&cluster, &namespace).await;
}

/// A broker's pod with a device, as the device plugin gives it to the kubelet.
fn with_device(mut spec: Value) -> Value {
    let container = &mut spec["containers"][0];
    for kind in ["requests", "limits"] {
        let resources = container["resources"][kind].as_object_mut().unwrap();
        assert_eq!(resources.remove("{{PLACEHOLDER}}"), Some(json!("1")), "{kind}");
    }
    let device = json!({ "name": "DEBUG_ECHO_DESCRIPTION_8120FE", "value": "foo0" });
    match container["env"].as_array_mut() {
        Some(env) => env.push(device),
        None => container["env"] = json!([device]),
    }
    spec
}
