//! Pods and containers for a trial.

use std::time::{Duration, Instant};

use k8s_cri::v1;

use super::{Cri, CriError, PAUSE};

impl Cri {
    /// Whether an image of that name is there.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn has_image(&mut self, name: &str) -> Result<bool, CriError> {
        let image = Some(v1::ImageSpec { image: name.to_owned(), ..Default::default() });
        let request = v1::ImageStatusRequest { image, verbose: false };
        let said = self.images.image_status(request).await.map_err(CriError::call("ImageStatus"))?;
        Ok(said.into_inner().image.is_some())
    }

    /// The ids of all images of at most this size whose own configuration has this label.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn labelled_images(&mut self, label: &str, max_size: u64) -> Result<Vec<String>, CriError> {
        let request = v1::ListImagesRequest::default();
        let said = self.images.list_images(request).await.map_err(CriError::call("ListImages"))?;
        let mut found = Vec::new();
        for image in said.into_inner().images.into_iter().filter(|image| image.size <= max_size) {
            let id = Some(v1::ImageSpec { image: image.id.clone(), ..Default::default() });
            let request = v1::ImageStatusRequest { image: id, verbose: true };
            let said = self.images.image_status(request).await.map_err(CriError::call("ImageStatus"))?;
            // One that is gone meanwhile, or that says nothing, is not ours.
            let info = said.into_inner().info.remove("info").unwrap_or_default();
            let info: serde_json::Value = serde_json::from_str(&info).unwrap_or_default();
            if !info["imageSpec"]["config"]["Labels"][label].is_null() {
                found.push(image.id);
            }
        }
        Ok(found)
    }

    /// Removes an image by its id, with all names that it has; nothing where there is none. A name that another image has
    /// taken over is that one's.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn remove_image(&mut self, id: &str) -> Result<(), CriError> {
        let image = Some(v1::ImageSpec { image: id.to_owned(), ..Default::default() });
        self.images
            .remove_image(v1::RemoveImageRequest { image })
            .await
            .map_err(CriError::call("RemoveImage"))?;
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
    ) -> Result<String, CriError> {
        let request =
            v1::RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: handler.to_owned() };
        let said = self.runtime.run_pod_sandbox(request).await.map_err(CriError::call("RunPodSandbox"))?;
        Ok(said.into_inner().pod_sandbox_id)
    }

    /// The ids of all sandboxes with this label.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn sandboxes(&mut self, label: (&str, &str)) -> Result<Vec<String>, CriError> {
        let selector = [(label.0.to_owned(), label.1.to_owned())].into();
        let filter = Some(v1::PodSandboxFilter { label_selector: selector, ..Default::default() });
        let request = v1::ListPodSandboxRequest { filter };
        let said = self.runtime.list_pod_sandbox(request).await.map_err(CriError::call("ListPodSandbox"))?;
        Ok(said.into_inner().items.into_iter().map(|sandbox| sandbox.id).collect())
    }

    /// Stops and removes a sandbox with all that is in it.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn remove_sandbox(&mut self, id: &str) -> Result<(), CriError> {
        let stop = v1::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.runtime.stop_pod_sandbox(stop).await.map_err(CriError::call("StopPodSandbox"))?;
        let remove = v1::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.runtime.remove_pod_sandbox(remove).await.map_err(CriError::call("RemovePodSandbox"))?;
        Ok(())
    }

    /// Creates and starts a container; its id.
    ///
    /// # Errors
    /// With what containerd says.
    pub async fn start(
        &mut self,
        sandbox: &str,
        sandbox_config: &v1::PodSandboxConfig,
        config: v1::ContainerConfig,
    ) -> Result<String, CriError> {
        let create = v1::CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config.clone()),
        };
        let said = self.runtime.create_container(create).await.map_err(CriError::call("CreateContainer"))?;
        let id = said.into_inner().container_id;
        let start = v1::StartContainerRequest { container_id: id.clone() };
        self.runtime.start_container(start).await.map_err(CriError::call("StartContainer"))?;
        Ok(id)
    }

    /// Waits until a container has ended; how.
    ///
    /// # Errors
    /// Where it has not in time.
    pub async fn ended(&mut self, id: &str, limit: Duration) -> Result<v1::ContainerStatus, CriError> {
        let began = Instant::now();
        loop {
            let request = v1::ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
            let said =
                self.runtime.container_status(request).await.map_err(CriError::call("ContainerStatus"))?;
            let status = said.into_inner().status.ok_or(CriError::Incomplete("ContainerStatus"))?;
            if status.state() == v1::ContainerState::ContainerExited {
                return Ok(status);
            }
            if began.elapsed() > limit {
                return Err(CriError::TimedOut(limit.as_secs(), "the container has ended"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
