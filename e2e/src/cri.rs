//! containerd through the Container Runtime Interface, as the kubelet speaks it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_cri::v1;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use serde_json::Value;
use tonic::transport::Channel;

use crate::{uds, wait};

/// The longest that a command in a container may take.
const EXEC_SECONDS: i64 = 10;
/// The key under which containerd puts its JSON into verbose answers.
const INFO: &str = "info";

/// A client of both services.
#[derive(Clone, Debug)]
pub struct Cri {
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
}

/// What a command in a container said.
#[derive(Clone, Debug)]
pub struct Executed {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code.
    pub exit_code: i32,
}

/// A container as `crictl inspect` has it.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// `.status`
    pub status: v1::ContainerStatus,
    /// `.info`
    pub info: Value,
}

/// A sandbox as `crictl inspectp` has it.
#[derive(Clone, Debug)]
pub struct InspectedPod {
    /// `.status`
    pub status: v1::PodSandboxStatus,
    /// `.info`
    pub info: Value,
}

impl Cri {
    /// Connects to containerd's socket.
    ///
    /// # Errors
    /// Where nobody listens there.
    pub async fn connect(socket: &Path) -> anyhow::Result<Self> {
        let channel = uds::connect(socket).await?;
        Ok(Self {
            runtime: RuntimeServiceClient::new(channel.clone()),
            images: ImageServiceClient::new(channel),
        })
    }

    /// Name and version of the runtime.
    ///
    /// # Errors
    /// As every method: with what containerd says.
    pub async fn version(&mut self) -> anyhow::Result<String> {
        let said = self.runtime.version(v1::VersionRequest::default()).await.context("Version")?.into_inner();
        Ok(format!("{} {}, CRI {}", said.runtime_name, said.runtime_version, said.runtime_api_version))
    }

    /// Waits until runtime and network are ready.
    ///
    /// # Errors
    /// Where they are not in time.
    pub async fn ready(&mut self, limit: Duration) -> anyhow::Result<()> {
        wait::until("containerd's runtime and network are ready", limit, async || {
            let said =
                self.runtime.status(v1::StatusRequest::default()).await.context("Status")?.into_inner();
            let conditions = said.status.unwrap_or_default().conditions;
            Ok((!conditions.is_empty() && conditions.iter().all(|condition| condition.status)).then_some(()))
        })
        .await
    }

    /// An image by its name, if it is there.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn image(&mut self, name: &str) -> anyhow::Result<Option<v1::Image>> {
        let image = Some(v1::ImageSpec { image: name.to_owned(), ..Default::default() });
        let request = v1::ImageStatusRequest { image, verbose: false };
        Ok(self.images.image_status(request).await.context("ImageStatus")?.into_inner().image)
    }

    /// Pulls an image from its registry; the reference by which containers may use it.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn pull(&mut self, name: &str, auth: v1::AuthConfig) -> anyhow::Result<String> {
        let image = Some(v1::ImageSpec { image: name.to_owned(), ..Default::default() });
        let request = v1::PullImageRequest { image, auth: Some(auth), ..Default::default() };
        Ok(self.images.pull_image(request).await.context("PullImage")?.into_inner().image_ref)
    }

    /// Forgets an image.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn remove_image(&mut self, name: &str) -> anyhow::Result<()> {
        let image = Some(v1::ImageSpec { image: name.to_owned(), ..Default::default() });
        self.images.remove_image(v1::RemoveImageRequest { image }).await.context("RemoveImage")?;
        Ok(())
    }

    /// Starts a pod's sandbox; its id.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn run_sandbox(
        &mut self,
        config: &v1::PodSandboxConfig,
        handler: &str,
    ) -> anyhow::Result<String> {
        let request =
            v1::RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: handler.to_owned() };
        Ok(self.runtime.run_pod_sandbox(request).await.context("RunPodSandbox")?.into_inner().pod_sandbox_id)
    }

    /// Stops and removes a sandbox with all that is in it.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn remove_sandbox(&mut self, id: &str) -> anyhow::Result<()> {
        let stop = v1::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.runtime.stop_pod_sandbox(stop).await.context("StopPodSandbox")?;
        let remove = v1::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.runtime.remove_pod_sandbox(remove).await.context("RemovePodSandbox")?;
        Ok(())
    }

    /// All sandboxes with these labels.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn sandboxes(&mut self, labels: &[(&str, &str)]) -> anyhow::Result<Vec<v1::PodSandbox>> {
        let selector = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let filter = v1::PodSandboxFilter { label_selector: selector, ..Default::default() };
        let request = v1::ListPodSandboxRequest { filter: Some(filter) };
        Ok(self.runtime.list_pod_sandbox(request).await.context("ListPodSandbox")?.into_inner().items)
    }

    /// Creates and starts a container; its id.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn start(
        &mut self,
        sandbox: &str,
        sandbox_config: &v1::PodSandboxConfig,
        config: &v1::ContainerConfig,
    ) -> anyhow::Result<String> {
        let create = v1::CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config.clone()),
            sandbox_config: Some(sandbox_config.clone()),
        };
        let id =
            self.runtime.create_container(create).await.context("CreateContainer")?.into_inner().container_id;
        let start = v1::StartContainerRequest { container_id: id.clone() };
        self.runtime.start_container(start).await.context("StartContainer")?;
        Ok(id)
    }

    /// SIGTERM, then SIGKILL when the grace time is over.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn stop(&mut self, id: &str, grace_seconds: u32) -> anyhow::Result<()> {
        let request = v1::StopContainerRequest { container_id: id.to_owned(), timeout: grace_seconds.into() };
        self.runtime.stop_container(request).await.context("StopContainer")?;
        Ok(())
    }

    /// The containers of a sandbox, those that have ended, too; the newest first.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn containers(&mut self, sandbox: &str) -> anyhow::Result<Vec<v1::Container>> {
        let filter = v1::ContainerFilter { pod_sandbox_id: sandbox.to_owned(), ..Default::default() };
        let request = v1::ListContainersRequest { filter: Some(filter) };
        let mut containers =
            self.runtime.list_containers(request).await.context("ListContainers")?.into_inner().containers;
        containers.sort_by_key(|container| std::cmp::Reverse(container.created_at));
        Ok(containers)
    }

    /// All that is known of a container.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn inspect(&mut self, id: &str) -> anyhow::Result<Inspected> {
        let request = v1::ContainerStatusRequest { container_id: id.to_owned(), verbose: true };
        let said = self.runtime.container_status(request).await.context("ContainerStatus")?.into_inner();
        let info = said.info.get(INFO).map_or("null", String::as_str);
        Ok(Inspected { status: said.status.context("no status")?, info: serde_json::from_str(info)? })
    }

    /// All that is known of a sandbox.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn inspect_pod(&mut self, id: &str) -> anyhow::Result<InspectedPod> {
        let request = v1::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: true };
        let said = self.runtime.pod_sandbox_status(request).await.context("PodSandboxStatus")?.into_inner();
        let info = said.info.get(INFO).map_or("null", String::as_str);
        Ok(InspectedPod { status: said.status.context("no status")?, info: serde_json::from_str(info)? })
    }

    /// Waits until a container has ended; how.
    ///
    /// # Errors
    /// Where it has not in time.
    pub async fn exited(&mut self, id: &str, limit: Duration) -> anyhow::Result<v1::ContainerStatus> {
        wait::until("the container has ended", limit, async || {
            let status = self.inspect(id).await?.status;
            Ok((status.state() == v1::ContainerState::ContainerExited).then_some(status))
        })
        .await
    }

    /// What a container uses.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn memory(&mut self, id: &str) -> anyhow::Result<v1::MemoryUsage> {
        let request = v1::ContainerStatsRequest { container_id: id.to_owned() };
        let said = self.runtime.container_stats(request).await.context("ContainerStats")?.into_inner();
        said.stats.and_then(|stats| stats.memory).context("no memory statistics")
    }

    /// Runs a command in a container and waits for its end, whatever that is.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub async fn exec(&mut self, id: &str, command: &[&str]) -> anyhow::Result<Executed> {
        let request = v1::ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: command.iter().map(|word| (*word).to_owned()).collect(),
            timeout: EXEC_SECONDS,
        };
        let said = self.runtime.exec_sync(request).await.context("ExecSync")?.into_inner();
        Ok(Executed {
            stdout: String::from_utf8_lossy(&said.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&said.stderr).into_owned(),
            exit_code: said.exit_code,
        })
    }

    /// Runs a command in a container; its standard output.
    ///
    /// # Errors
    /// Where it fails; with what it said.
    pub async fn exec_well(&mut self, id: &str, command: &[&str]) -> anyhow::Result<String> {
        let said = self.exec(id, command).await?;
        if said.exit_code != 0 {
            bail!("{} ended with {}: {}", command.join(" "), said.exit_code, said.stderr.trim());
        }
        Ok(said.stdout)
    }
}

impl Inspected {
    /// The PID of its first process, in the node's PID namespace.
    ///
    /// # Errors
    /// Where it has none.
    pub fn pid(&self) -> anyhow::Result<u32> {
        let pid =
            self.info["pid"].as_u64().filter(|pid| *pid != 0).context("the container has no process")?;
        Ok(u32::try_from(pid)?)
    }

    /// An annotation of the OCI configuration that the runtime was given.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.info["runtimeSpec"]["annotations"][name].as_str()
    }
}
