//! The running cluster of scripts/cluster: its API, its node's containerd, its scripts.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use e2e::cri::Cri;
use e2e::demo;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::{Mutex, MutexGuard};

use crate::command::run;

/// Set to 1, a test that cannot run is a failure: for machines that are meant to run all of them.
const REQUIRE: &str = "REQUIRE_CLUSTER";
/// Names the cluster, which has to run and to have the images.
const NAME: &str = "CLUSTER";
/// The administrator's kubeconfig on the node.
const ADMIN: &str = "/etc/kubernetes/super-admin.conf";

/// The longest that the kubelet may take for anything: far more than it does.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// The cluster, for one test.
pub(crate) struct Cluster {
    name: String,
    script: PathBuf,
    status: HashMap<String, String>,
    client: Client,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// The cluster, or `None` where there is none and none is required.
    pub(crate) async fn take(test: &str) -> Option<Self> {
        let Ok(name) = std::env::var(NAME) else {
            assert!(
                std::env::var_os(REQUIRE).is_none_or(|value| value != "1"),
                "{test} cannot run: {NAME} names no cluster"
            );
            // Straight to the terminal: the harness hides what passing tests print.
            use std::io::Write;
            let _ = writeln!(
                std::io::stderr(),
                "skipped: {test}: {NAME} names no cluster: scripts/e2e-cluster does"
            );
            return None;
        };
        let turn = ONE_AT_A_TIME.lock().await;
        let script = demo::checkout().join("scripts/cluster");
        let status = status(&script, &name).await.unwrap();
        let client = connect(&status).await.unwrap();
        let cluster = Self { name, script, status, client, _turn: turn };
        // What is on every cluster, whichever test comes first.
        let class = demo::checkout().join("runtimeclass/class");
        cluster.kubectl(&["apply", "--kustomize", class.to_str().unwrap()]).await.unwrap();
        Some(cluster)
    }

    /// Has the node boot again, with its disk.
    pub(crate) async fn reboot(&mut self) {
        self.script("down", &["--keep-disk"]).await.unwrap();
        self.script("up", &[]).await.unwrap();
        self.status = status(&self.script, &self.name).await.unwrap();
        self.client = connect(&self.status).await.unwrap();
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The node's containerd.
    pub(crate) async fn cri(&self) -> Cri {
        Cri::connect(Path::new(&self.status["containerd"])).await.unwrap()
    }

    /// The node's `/var/lib/akri`, as seen from here.
    pub(crate) fn akri(&self) -> &Path {
        Path::new(&self.status["akri"])
    }

    /// A file of the node by its path there, as seen from here.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.status["pid"]))
    }

    /// The name of the only node.
    pub(crate) fn node(&self) -> &str {
        &self.name
    }

    /// A command of scripts/cluster.
    pub(crate) async fn script(&self, command: &str, arguments: &[&str]) -> anyhow::Result<String> {
        run(&self.script, &[&[command, "--name", &self.name], arguments].concat()).await
    }

    /// What a user would type.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.script("kubectl", arguments).await
    }

    /// A command on the node.
    pub(crate) async fn exec(&self, command: &[&str]) -> anyhow::Result<String> {
        self.script("exec", &[&["--"], command].concat()).await
    }
}

async fn status(script: &Path, name: &str) -> anyhow::Result<HashMap<String, String>> {
    let said = run(script, &["status", "--name", name]).await?;
    let pairs = said.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// The API server is reached in the node's network only. This thread moves there: with it all that tokio does here.
async fn connect(status: &HashMap<String, String>) -> anyhow::Result<Client> {
    let pid = status.get("pid").filter(|pid| !pid.is_empty()).context("the cluster does not run")?;
    let network = File::open(format!("/proc/{pid}/ns/net"))?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/root{ADMIN}"))?;
    let mut config =
        Config::from_custom_kubeconfig(Kubeconfig::from_yaml(&text)?, &KubeConfigOptions::default()).await?;
    // This machine's proxy does not know that network.
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}
