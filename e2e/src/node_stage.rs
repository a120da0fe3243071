//! The story's pod on a node, made through the CRI as the kubelet would make it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akri_exchange::layout;
use anyhow::{Context, bail};
use k8s_cri::v1;

use crate::RUNTIME_HANDLER;
use crate::cri::{Cri, Inspected, InspectedPod};
use crate::manifest::DaemonSet;
use crate::node::Node;
use crate::pod::{NodeVolume, Pod, directory};
use crate::process::Process;
use crate::say::ms;
use crate::stage::{Part, Stage, tail};

/// By this label the pods of the DaemonSet are found.
const APP: &str = "app.kubernetes.io/name";
/// Until a killed container is seen to be gone.
const GONE: Duration = Duration::from_secs(10);
/// The proxy's program, by the path that the image's environment has.
const PROXY: &str = "akri-proxy";

/// The pod.
#[derive(Debug)]
pub struct NodeStage {
    /// The node, which outlives the pod.
    pub node: Node,
    cri: Cri,
    set: DaemonSet,
    pod: Pod,
    config: v1::PodSandboxConfig,
    sandbox: String,
    handler: Running,
    proxy: Running,
}

/// A container, and how often it was started again.
#[derive(Clone, Debug, Default)]
struct Running {
    id: String,
    attempt: u32,
}

impl NodeStage {
    /// A stage on which nothing runs yet.
    ///
    /// # Errors
    /// Where the DaemonSet is not understood.
    pub fn new(node: Node, cri: Cri) -> anyhow::Result<Self> {
        Self::of(node, cri, DaemonSet::ours()?)
    }

    /// The same for another DaemonSet than debugEcho's.
    ///
    /// # Errors
    /// Where there is no random number to be had.
    pub fn of(node: Node, cri: Cri, set: DaemonSet) -> anyhow::Result<Self> {
        let pod = Pod::new(&set, &uid()?);
        let config = pod.sandbox();
        let (handler, proxy) = Default::default();
        Ok(Self { node, cri, set, pod, config, sandbox: String::new(), handler, proxy })
    }

    /// Makes the next pod from another DaemonSet. The one before has to be cleared.
    ///
    /// # Errors
    /// Where there is no random number for the pod's UID.
    pub fn change(&mut self, set: DaemonSet) -> anyhow::Result<()> {
        self.pod = Pod::new(&set, &uid()?);
        self.config = self.pod.sandbox();
        (self.handler, self.proxy) = Default::default();
        (self.set, self.sandbox) = (set, String::new());
        Ok(())
    }

    /// The pod.
    pub fn pod(&self) -> &Pod {
        &self.pod
    }

    /// The images of its containers.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.pod.spec().containers.iter().map(|container| container.image.as_str())
    }

    /// Another client of the node's containerd.
    pub fn cri(&self) -> Cri {
        self.cri.clone()
    }

    /// Makes the volumes and starts the sandbox.
    ///
    /// # Errors
    /// With what the node or containerd says.
    pub async fn start_sandbox(&mut self) -> anyhow::Result<()> {
        for volume in self.pod.volumes()? {
            make_volume(&self.node, &volume).await?;
        }
        for part in [Part::Handler, Part::Proxy] {
            self.node.exec(&["mkdir", "-p", &format!("{}/{}", self.pod.logs(), part.name())]).await?;
        }
        let class = &self.pod.spec().runtime_class_name;
        if class != RUNTIME_HANDLER {
            bail!("the pod's RuntimeClass is {class}, and only {RUNTIME_HANDLER} is known here");
        }
        self.sandbox = self.cri.run_sandbox(&self.config, RUNTIME_HANDLER).await?;
        Ok(())
    }

    /// Starts a container for the first time.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn start(&mut self, part: Part) -> anyhow::Result<()> {
        self.run(part, 0).await
    }

    async fn run(&mut self, part: Part, attempt: u32) -> anyhow::Result<()> {
        let container = self.pod.container(part.name(), attempt)?;
        let id = self.cri.start(&self.sandbox, &self.config, &container).await?;
        *self.running_mut(part) = Running { id, attempt };
        Ok(())
    }

    /// A container as `crictl inspect` has it.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn inspect(&mut self, part: Part) -> anyhow::Result<Inspected> {
        let id = self.running(part).id.clone();
        self.cri.inspect(&id).await
    }

    /// The sandbox as `crictl inspectp` has it.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn inspect_pod(&mut self) -> anyhow::Result<InspectedPod> {
        self.cri.inspect_pod(&self.sandbox).await
    }

    /// All containers of the pod, with those that have ended.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn containers(&mut self) -> anyhow::Result<Vec<v1::Container>> {
        self.cri.containers(&self.sandbox).await
    }

    /// A container's status by its id.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn container(&mut self, id: &str) -> anyhow::Result<Inspected> {
        self.cri.inspect(id).await
    }

    /// SIGTERM for one container; its status when it has ended, and how long that took.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn stop(&mut self, part: Part) -> anyhow::Result<(v1::ContainerStatus, Duration)> {
        let (id, began) = (self.running(part).id.clone(), Instant::now());
        self.cri.stop(&id, self.pod.spec().termination_grace_period_seconds).await?;
        let status = self.cri.exited(&id, GONE).await?;
        Ok((status, began.elapsed()))
    }

    /// Waits until a container has ended by itself; its status.
    ///
    /// # Errors
    /// Where it has not in time.
    pub async fn ended(&mut self, part: Part) -> anyhow::Result<v1::ContainerStatus> {
        let id = self.running(part).id.clone();
        self.cri.exited(&id, GONE).await
    }

    /// Removes every pod of the DaemonSet, with what the kubelet would keep of it: also those of an earlier run that was
    /// killed. The number of pods.
    ///
    /// # Errors
    /// With what the node or containerd says.
    pub async fn clear(&mut self) -> anyhow::Result<usize> {
        let app = self
            .set
            .spec
            .template
            .metadata
            .labels
            .get(APP)
            .context("the pods have no label by which to find them")?;
        let sandboxes = self.cri.sandboxes(&[(APP, app)]).await?;
        for sandbox in &sandboxes {
            self.cri.remove_sandbox(&sandbox.id).await?;
            let metadata = sandbox.metadata.clone().unwrap_or_default();
            remove_files(&self.node, &directory(&metadata.uid), &metadata).await?;
        }
        if self.node.file(&self.pod.directory())?.exists() {
            // The sandbox was never made.
            remove_files(
                &self.node,
                &self.pod.directory(),
                &self.config.metadata.clone().unwrap_or_default(),
            )
            .await?;
        }
        Ok(sandboxes.len())
    }

    fn running(&self, part: Part) -> &Running {
        match part {
            Part::Handler => &self.handler,
            Part::Proxy => &self.proxy,
        }
    }

    fn running_mut(&mut self, part: Part) -> &mut Running {
        match part {
            Part::Handler => &mut self.handler,
            Part::Proxy => &mut self.proxy,
        }
    }
}

impl Stage for NodeStage {
    fn akri(&self) -> &Path {
        self.node.akri()
    }

    fn exchange(&self) -> anyhow::Result<PathBuf> {
        let mounts = &self.pod.spec().container(Part::Handler.name()).context("no handler")?.volume_mounts;
        let mount = mounts.iter().find(|mount| mount.mount_path == layout::DEFAULT_DIRECTORY);
        let volume = self.pod.volume(&mount.context("the handler has no exchange directory")?.name)?;
        self.node.file(volume.path())
    }

    fn place(&self) -> &'static str {
        "   (exec in the proxy's container)"
    }

    async fn proxy(&mut self, arguments: &[&str]) -> anyhow::Result<String> {
        self.cri.exec_well(&self.proxy.id, &[&[PROXY], arguments].concat()).await
    }

    async fn kill_handler(&mut self) -> anyhow::Result<String> {
        let pid = self.inspect(Part::Handler).await?.pid()?;
        self.node.exec(&["kill", "-KILL", &pid.to_string()]).await?;
        let status = self.ended(Part::Handler).await?;
        if status.exit_code != 137 {
            bail!("the killed handler's exit code is {}, not 137", status.exit_code);
        }
        Ok(format!("kill -KILL {pid} on the node: container {} has ended with 137", short(&status.id)))
    }

    async fn start_handler(&mut self) -> anyhow::Result<String> {
        let attempt = self.handler.attempt + 1;
        self.run(Part::Handler, attempt).await?;
        Ok(format!("as the kubelet would: container {}, attempt {attempt}", short(&self.handler.id)))
    }

    async fn process(&mut self, part: Part) -> anyhow::Result<Process> {
        let pid = self.inspect(part).await?.pid()?;
        Ok(Process::new(&self.node.file("/proc")?, pid))
    }

    async fn charged(&mut self, part: Part) -> anyhow::Result<Option<(u64, u64)>> {
        let id = self.running(part).id.clone();
        let memory = self.cri.memory(&id).await?;
        let value = |number: Option<v1::UInt64Value>| number.map(|number| number.value);
        let usage = value(memory.usage_bytes).context("containerd does not say the usage")?;
        Ok(Some((usage, value(memory.working_set_bytes).context("containerd does not say the working set")?)))
    }

    async fn leave(&mut self) -> anyhow::Result<String> {
        let grace = self.pod.spec().termination_grace_period_seconds;
        let (mut one, mut other, began) = (self.cri.clone(), self.cri.clone(), Instant::now());
        let (handler, proxy) = (self.handler.id.clone(), self.proxy.id.clone());
        tokio::try_join!(one.stop(&handler, grace), other.stop(&proxy, grace))?;
        let took = began.elapsed();
        let (handler, proxy) = (self.ended(Part::Handler).await?, self.ended(Part::Proxy).await?);
        if (handler.exit_code, proxy.exit_code) != (0, 0) {
            bail!("exit codes of handler and proxy: {} and {}", handler.exit_code, proxy.exit_code);
        }
        if took >= Duration::from_secs(grace.into()) {
            bail!("both took {}, their whole grace time", ms(took));
        }
        Ok(format!("both have ended with 0 after {}, of {grace} s that they had", ms(took)))
    }

    fn said(&self, part: Part) -> String {
        let log = format!("{}/{}", self.pod.logs(), self.pod.log(part.name(), self.running(part).attempt));
        self.node.file(&log).map(|path| tail(&path)).unwrap_or_default()
    }
}

/// A pod's UID, as the API server would give it.
fn uid() -> anyhow::Result<String> {
    let uid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("no random number")?;
    Ok(uid.trim().to_owned())
}

/// An id as crictl shows it.
pub(crate) fn short(id: &str) -> &str {
    id.get(..13).unwrap_or(id)
}

/// As the kubelet makes volumes.
async fn make_volume(node: &Node, volume: &NodeVolume) -> anyhow::Result<()> {
    node.exec(&["mkdir", "-p", volume.path()]).await?;
    if let NodeVolume::Memory { path, bytes, group } = volume {
        // The group's bit is inherited by all that is made in there.
        let options = format!("size={bytes},mode=2770,uid=0,gid={group},nosuid,nodev");
        node.exec(&["mount", "-t", "tmpfs", "-o", &options, "tmpfs", path]).await?;
    }
    Ok(())
}

async fn remove_files(node: &Node, directory: &str, pod: &v1::PodSandboxMetadata) -> anyhow::Result<()> {
    const SCRIPT: &str = r#"
        for volume in "$1"/volumes/*/*; do
            if mountpoint -q "$volume"; then umount "$volume"; fi
        done
        rm -rf --one-file-system -- "$1" /var/log/pods/"$2""#;
    let logs = format!("{}_{}_{}", pod.namespace, pod.name, pod.uid);
    node.exec(&["sh", "-ec", SCRIPT, "sh", directory, &logs]).await?;
    Ok(())
}
