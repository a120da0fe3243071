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
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::command::run;

/// Set to 1, a test that cannot run is a failure: for machines that are meant to run all of them.
const REQUIRE: &str = "REQUIRE_CLUSTER";
/// Names the cluster, which has to run and to have the images.
const NAME: &str = "CLUSTER";
/// The administrator's kubeconfig on the node.
const ADMIN: &str = "/etc/kubernetes/super-admin.conf";

/// The longest that the kubelet may take for anything: far more than it does.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

static TURNS: RwLock<()> = RwLock::const_new(());

/// The cluster, for one test.
pub(crate) struct Cluster {
    name: String,
    script: PathBuf,
    status: HashMap<String, String>,
    client: Client,
    _turn: Turn,
}

/// Whom a test shares the cluster with. What is held is the guard; nobody reads it.
#[allow(dead_code, reason = "the guards are held, not read")]
enum Turn {
    Alone(RwLockWriteGuard<'static, ()>),
    Beside(RwLockReadGuard<'static, ()>),
}

impl Cluster {
    /// The cluster for this test alone, or `None` where there is none and none is required.
    pub(crate) async fn alone(test: &str) -> Option<Self> {
        let name = name(test)?;
        Some(Self::take(name, Turn::Alone(TURNS.write().await)).await)
    }

    /// The cluster for this test and others beside it, or `None` where there is none and none is required.
    pub(crate) async fn beside(test: &str) -> Option<Self> {
        let name = name(test)?;
        Some(Self::take(name, Turn::Beside(TURNS.read().await)).await)
    }

    async fn take(name: String, turn: Turn) -> Self {
        let script = demo::checkout().join("scripts/cluster");
        let status = status(&script, &name).await.unwrap();
        let client = connect(&status).await.unwrap();
        let cluster = Self { name, script, status, client, _turn: turn };
        // What is on every cluster, whichever test comes first.
        let class = demo::checkout().join("runtimeclass/class");
        cluster.kubectl(&["apply", "--kustomize", class.to_str().unwrap()]).await.unwrap();
        cluster
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

    /// containerd's socket and the node's root folder, as seen from here.
    pub(crate) fn inside(&self) -> [String; 2] {
        [self.status["containerd"].clone(), format!("/proc/{}/root", self.status["pid"])]
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

    /// `wasm-image`, as `make image` built it.
    pub(crate) async fn wasm_image(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run(&self.wasm_image_program(), arguments).await
    }

    /// Where that is.
    pub(crate) fn wasm_image_program(&self) -> PathBuf {
        let built = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| demo::checkout().join("target"), PathBuf::from);
        built.join("debug/wasm-image")
    }

    /// A command on the node.
    pub(crate) async fn exec(&self, command: &[&str]) -> anyhow::Result<String> {
        self.script("exec", &[&["--"], command].concat()).await
    }
}

/// What the cluster is called that the tests are to run on.
fn name(test: &str) -> Option<String> {
    if let Ok(name) = std::env::var(NAME) {
        return Some(name);
    }
    assert!(
        std::env::var_os(REQUIRE).is_none_or(|value| value != "1"),
        "{test} cannot run: {NAME} names no cluster"
    );
    // Straight to the terminal: the harness hides what passing tests print.
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {NAME} names no cluster: scripts/e2e-cluster does");
    None
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
