//! The examples, typed as their READMEs say.

use e2e::demo;

use crate::cluster::Cluster;
use crate::namespace::{delete_namespace, fresh_namespace};

#[tokio::test]
async fn hello_is_given_what_kubernetes_gives_to_any_container() {
    let Some(cluster) = Cluster::take("hello").await else { return };
    let namespace = fresh_namespace(&cluster, "hello").await;
    let at = ["--namespace", &namespace];
    let folder = demo::checkout().join("examples/hello");
    let folder = folder.to_str().unwrap();
    cluster.kubectl(&[&at[..], &["apply", "--kustomize", folder]].concat()).await.unwrap();
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
    cluster.kubectl(&[&at[..], &["diff", "--kustomize", folder]].concat()).await.unwrap();
    cluster.kubectl(&[&at[..], &["delete", "--kustomize", folder, "--wait"]].concat()).await.unwrap();
    delete_namespace(&cluster, &namespace).await;
}

#[tokio::test]
async fn a_module_that_fails_is_seen_to() {
    let Some(cluster) = Cluster::take("failing module").await else { return };
    let namespace = fresh_namespace(&cluster, "failing").await;
    let at = ["--namespace", &namespace];
    for (how, told) in [("panic", "told to panic"), ("trap", "this line goes to standard error")] {
        let overrides = r#"{"spec":{"runtimeClassName":"crun-wasmedge"}}"#;
        let run = ["run", how, "--image=localhost/akri-wasm/hello:dev", "--restart=Never"];
        let more = ["--overrides", overrides, "--", how];
        cluster.kubectl(&[&at[..], &run, &more].concat()).await.unwrap();
        let failed = ["wait", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s"];
        cluster.kubectl(&[&at[..], &failed, &[&format!("pod/{how}")]].concat()).await.unwrap();
        let log = cluster.kubectl(&[&at[..], &["logs", how]].concat()).await.unwrap();
        assert!(log.contains(told), "{how}: {log}");
        let code = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}";
        let code =
            cluster.kubectl(&[&at[..], &["get", "pod", how, "--output", code]].concat()).await.unwrap();
        assert_eq!(code, "1", "{how}");
    }
    delete_namespace(&cluster, &namespace).await;
}
