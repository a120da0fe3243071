//! examples/hello-variants: modules that fail, that are killed, and that share volumes with an init container.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::api::ListParams;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};

use crate::cluster::{Cluster, LIMIT};
use crate::deployment::container_of;
use crate::examples::apply;
use crate::mistakes::quoted;
use crate::namespace::{delete_namespace, fresh_namespace};

/// How a variant's Job ends: its condition, its container's exit code and reason, and what is in its log.
struct Ending {
    variant: &'static str,
    condition: &'static str,
    exit_code: i32,
    reason: &'static str,
    said: &'static [&'static str],
}

const ENDINGS: [Ending; 4] = [
    Ending { variant: "panic", condition: "Failed", exit_code: 1, reason: "Error", said: &["told to panic"] },
    Ending {
        variant: "trap",
        condition: "Failed",
        exit_code: 1,
        reason: "Error",
        said: &["execution failed: unreachable, Code: 0x40a"],
    },
    Ending {
        variant: "memory",
        condition: "Failed",
        exit_code: 137,
        reason: "OOMKilled",
        said: &["ate 1 MiB"],
    },
    Ending {
        variant: "volumes",
        condition: "Complete",
        exit_code: 0,
        reason: "Completed",
        said: &[
            "file /work/from-init: written by hello-wasm-volumes-",
            "file /etc/projected/motd.txt: a file from a ConfigMap",
            "file /etc/projected/name: hello-wasm-volumes-",
            "file /etc/projected/component: example",
        ],
    },
];

#[tokio::test]
async fn modules_end_as_the_variants_readme_says() {
    let Some(cluster) = Cluster::beside("variants of hello").await else { return };
    let namespace = fresh_namespace(&cluster, "variants").await;
    for ending in &ENDINGS {
        apply(&cluster, &namespace, &format!("hello-variants/{}", ending.variant)).await;
    }
    let readme = e2e::demo::checkout().join("examples/hello-variants/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    for ending in &ENDINGS {
        let job = format!("hello-wasm-{}", ending.variant);
        let pod = ended(&cluster, &namespace, &job, ending.condition).await;
        let state = terminated(&pod);
        assert_eq!(
            (state.exit_code, state.reason.as_deref()),
            (ending.exit_code, Some(ending.reason)),
            "{job}"
        );
        let log = cluster.kubectl(&["logs", "--namespace", &namespace, &pod.name_any()]).await.unwrap();
        for text in ending.said {
            assert!(log.contains(text), "{job} did not say {text:?}, but: {log}");
        }
        assert!(readme.contains(&format!("| `{}` |", ending.variant)), "{}", ending.variant);
        if ending.condition == "Failed" {
            quoted(ending.reason, state.reason.as_deref().unwrap_or_default());
            quoted(&format!("exit code {}", ending.exit_code), &format!("exit code {}", state.exit_code));
        }
    }
    quoted("execution failed: unreachable", ENDINGS[1].said[0]);
    delete_namespace(&cluster, &namespace).await;
}

/// Waits until the Job has this condition; its pod.
pub(crate) async fn ended(cluster: &Cluster, namespace: &str, job: &str, wanted: &str) -> Pod {
    let jobs: Api<Job> = Api::namespaced(cluster.client(), namespace);
    let has = |job: Option<&Job>| {
        let status = job.and_then(|job| job.status.clone()).unwrap_or_default();
        let mut conditions = status.conditions.unwrap_or_default().into_iter();
        conditions.any(|condition| condition.type_ == wanted && condition.status == "True")
    };
    tokio::time::timeout(LIMIT, await_condition(jobs, job, has))
        .await
        .unwrap_or_else(|_| panic!("{job} is not {wanted} after {LIMIT:?}"))
        .unwrap();
    pod_of(cluster, namespace, job).await
}

/// The Job's only pod.
pub(crate) async fn pod_of(cluster: &Cluster, namespace: &str, job: &str) -> Pod {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let selector = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    let mut found = pods.list(&selector).await.unwrap().items;
    assert_eq!(found.len(), 1, "{job}");
    found.remove(0)
}

fn terminated(pod: &Pod) -> ContainerStateTerminated {
    container_of(pod, "hello").state.and_then(|state| state.terminated).expect("its Job has ended")
}
