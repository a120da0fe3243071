//! containerd's answers about pods, containers and images: which ones, and each as a document.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use k8s_cri::v1;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use serde_json::Value;
use tonic::transport::Channel;

use super::document;
use crate::{RUNTIME_HANDLER, uds};

/// Whose pods are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those that crun with WasmEdge runs.
    Ours,
    /// All of the node's.
    All,
}

/// A client, which asks and changes nothing. Answers above tonic's 4 MiB are refused.
#[derive(Debug)]
pub(super) struct Runtime {
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    scope: Scope,
}

impl Runtime {
    pub(super) async fn connect(socket: &Path, scope: Scope) -> anyhow::Result<Self> {
        let channel = uds::connect(socket).await?;
        Ok(Self {
            runtime: RuntimeServiceClient::new(channel.clone()),
            images: ImageServiceClient::new(channel),
            scope,
        })
    }

    /// `crictl info`
    pub(super) async fn info(&mut self) -> anyhow::Result<Value> {
        let request = v1::StatusRequest { verbose: true };
        Ok(document::info(&self.runtime.status(request).await.context("Status")?.into_inner()))
    }

    /// `crictl pods`
    pub(super) async fn pods(&mut self, name: Option<&str>) -> anyhow::Result<Vec<Value>> {
        Ok(self.list_pods(name).await?.iter().map(document::pod).collect())
    }

    /// `crictl ps -a`
    pub(super) async fn containers(&mut self, name: Option<&str>) -> anyhow::Result<Vec<Value>> {
        Ok(self.list_containers(name).await?.iter().map(document::container).collect())
    }

    /// `crictl stats`: of containers that run.
    pub(super) async fn stats(&mut self, name: Option<&str>) -> anyhow::Result<Vec<Value>> {
        let mut found = Vec::new();
        for container in self.list_containers(name).await? {
            if container.state() != v1::ContainerState::ContainerRunning {
                continue;
            }
            let request = v1::ContainerStatsRequest { container_id: container.id.clone() };
            match self.runtime.container_stats(request).await {
                Ok(said) => found.extend(said.into_inner().stats.as_ref().map(document::stats)),
                // It has ended since it was listed.
                Err(status) if is_gone(&status) => {}
                Err(status) => return Err(status).context("ContainerStats"),
            }
        }
        Ok(found)
    }

    /// `crictl inspectp`
    pub(super) async fn inspect_pods(&mut self, name: Option<&str>) -> anyhow::Result<Vec<Value>> {
        let mut found = Vec::new();
        for pod in self.list_pods(name).await? {
            let request = v1::PodSandboxStatusRequest { pod_sandbox_id: pod.id, verbose: true };
            match self.runtime.pod_sandbox_status(request).await {
                Ok(said) => found.push(document::inspected_pod(&said.into_inner())),
                Err(status) if is_gone(&status) => {}
                Err(status) => return Err(status).context("PodSandboxStatus"),
            }
        }
        Ok(found)
    }

    /// `crictl inspect`
    pub(super) async fn inspect_containers(&mut self, name: Option<&str>) -> anyhow::Result<Vec<Value>> {
        let mut found = Vec::new();
        for container in self.list_containers(name).await? {
            let request = v1::ContainerStatusRequest { container_id: container.id, verbose: true };
            match self.runtime.container_status(request).await {
                Ok(said) => found.push(document::inspected_container(&said.into_inner())),
                Err(status) if is_gone(&status) => {}
                Err(status) => return Err(status).context("ContainerStatus"),
            }
        }
        Ok(found)
    }

    /// `crictl inspecti`: of the containers' images, each once.
    pub(super) async fn inspect_images(&mut self, name: Option<&str>) -> anyhow::Result<Vec<Value>> {
        let containers = self.list_containers(None).await?;
        let used: BTreeSet<String> = containers.into_iter().map(|container| container.image_ref).collect();
        let mut found = Vec::new();
        for image in used {
            let image = Some(v1::ImageSpec { image, ..Default::default() });
            let request = v1::ImageStatusRequest { image, verbose: true };
            let said = self.images.image_status(request).await.context("ImageStatus")?.into_inner();
            // A container outlives its image's removal.
            let Some(image) = &said.image else { continue };
            let names = image.repo_tags.iter().chain(&image.repo_digests).map(String::as_str);
            let id = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
            if name.is_none_or(|name| is_called(&image.id, names, name) || id.starts_with(name)) {
                found.push(document::inspected_image(&said));
            }
        }
        Ok(found)
    }

    /// Newest first, as crictl has it.
    async fn list_pods(&mut self, name: Option<&str>) -> anyhow::Result<Vec<v1::PodSandbox>> {
        let said = self.runtime.list_pod_sandbox(v1::ListPodSandboxRequest::default()).await;
        let mut pods = said.context("ListPodSandbox")?.into_inner().items;
        pods.retain(|pod| {
            let called = pod.metadata.iter().map(|metadata| metadata.name.as_str());
            (self.scope == Scope::All || pod.runtime_handler == RUNTIME_HANDLER)
                && name.is_none_or(|name| is_called(&pod.id, called, name))
        });
        pods.sort_by_key(|pod| std::cmp::Reverse(pod.created_at));
        Ok(pods)
    }

    async fn list_containers(&mut self, name: Option<&str>) -> anyhow::Result<Vec<v1::Container>> {
        let pods = self.list_pods(None).await?;
        let pods: BTreeSet<&str> = pods.iter().map(|pod| pod.id.as_str()).collect();
        let said = self.runtime.list_containers(v1::ListContainersRequest::default()).await;
        let mut containers = said.context("ListContainers")?.into_inner().containers;
        containers.retain(|container| {
            let called = container.metadata.iter().map(|metadata| metadata.name.as_str());
            pods.contains(container.pod_sandbox_id.as_str())
                && name.is_none_or(|name| is_called(&container.id, called, name))
        });
        containers.sort_by_key(|container| std::cmp::Reverse(container.created_at));
        Ok(containers)
    }
}

fn is_called<'a>(id: &str, mut names: impl Iterator<Item = &'a str>, wanted: &str) -> bool {
    id.starts_with(wanted) || names.any(|name| name == wanted)
}

fn is_gone(status: &tonic::Status) -> bool {
    status.code() == tonic::Code::NotFound
}
