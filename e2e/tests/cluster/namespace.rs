//! A test's namespace, and the events in it.

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Event, Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::cluster::{Cluster, LIMIT};

/// A new namespace, also where an earlier run left one.
pub(crate) async fn fresh_namespace(cluster: &Cluster, test: &str) -> String {
    let name = format!("e2e-{test}");
    delete_namespace(cluster, &name).await;
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), &name);
    let there = await_condition(accounts, "default", |account: Option<&_>| account.is_some());
    tokio::time::timeout(LIMIT, there).await.expect("its service account is made").unwrap();
    name
}

/// Deletes a namespace, and waits until it is gone with all that was in it.
pub(crate) async fn delete_namespace(cluster: &Cluster, name: &str) {
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    let Some(namespace) = namespaces.get_opt(name).await.unwrap() else { return };
    namespaces.delete(name, &DeleteParams::default()).await.unwrap();
    let uid = namespace.uid().expect("the API server gave it one");
    let gone = await_condition(namespaces.clone(), name, conditions::is_deleted(&uid));
    let Ok(gone) = tokio::time::timeout(LIMIT, gone).await else {
        let holds = namespaces.get_status(name).await.unwrap().status;
        let pods: Api<Pod> = Api::namespaced(cluster.client(), name);
        let pods: Vec<_> = pods.list(&ListParams::default()).await.unwrap().items;
        panic!("namespace {name} is not gone after {LIMIT:?}: {holds:?}; its pods: {pods:?}");
    };
    gone.unwrap();
}

/// Waits for the event of this reason about this object; what it says.
pub(crate) async fn event(cluster: &Cluster, namespace: &str, object: &str, reason: &str) -> String {
    let events: Api<Event> = Api::namespaced(cluster.client(), namespace);
    let fields = format!("involvedObject.name={object},reason={reason}");
    let config = watcher::Config::default().fields(&fields);
    let mut stream = std::pin::pin!(watcher(events, config));
    let found = async {
        use watcher::Event::{Apply, InitApply};
        while let Some(next) = stream.next().await {
            if let Apply(event) | InitApply(event) = next.unwrap() {
                return event.message.unwrap_or_default();
            }
        }
        panic!("the watch ended");
    };
    tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("no event {reason} about {object}"))
}
