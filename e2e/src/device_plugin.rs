//! A double of Akri's device plugin: tells the kubelet of one device, and says what a container with it is given.

use std::path::Path;
use std::pin::Pin;

use anyhow::Context;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::discovered::Discovered;
use crate::uds;
use pb::device_plugin_server::{DevicePlugin as Service, DevicePluginServer};

mod pb {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("v1beta1");
}

/// The kubelet's socket, in the directory of plugins.
const KUBELET: &str = "kubelet.sock";
/// The version of the protocol.
const VERSION: &str = "v1beta1";
/// How the kubelet calls a device that may be given out.
const HEALTHY: &str = "Healthy";

/// The running plugin. It ends with this value.
#[derive(Debug)]
pub struct DevicePlugin(JoinHandle<()>);

impl Drop for DevicePlugin {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl DevicePlugin {
    /// Serves a resource of one device from the socket of this name in the kubelet's directory, and registers it there.
    ///
    /// # Errors
    /// Where the kubelet does not take it.
    pub async fn start(
        directory: &Path,
        socket: &str,
        resource: &str,
        hash: &str,
        device: Discovered,
    ) -> anyhow::Result<Self> {
        let path = directory.join(socket);
        // Of an earlier run.
        let _ = std::fs::remove_file(&path);
        let listener =
            UnixListener::bind(&path).with_context(|| format!("cannot listen at {}", path.display()))?;
        let service = DevicePluginServer::new(Plugin { hash: hash.to_owned(), device });
        let serving = Server::builder().add_service(service);
        let plugin = Self(tokio::spawn(async move {
            if let Err(error) = serving.serve_with_incoming(UnixListenerStream::new(listener)).await {
                eprintln!("the device plugin ended: {error}");
            }
        }));
        let channel = uds::connect(&directory.join(KUBELET)).await?;
        let request = pb::RegisterRequest {
            version: VERSION.to_owned(),
            endpoint: socket.to_owned(),
            resource_name: resource.to_owned(),
        };
        pb::registration_client::RegistrationClient::new(channel)
            .register(request)
            .await
            .context("Register")?;
        Ok(plugin)
    }
}

struct Plugin {
    hash: String,
    device: Discovered,
}

#[tonic::async_trait]
impl Service for Plugin {
    async fn get_device_plugin_options(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::DevicePluginOptions>, Status> {
        Ok(Response::new(pb::DevicePluginOptions {}))
    }

    type ListAndWatchStream = Pin<Box<dyn Stream<Item = Result<pb::ListAndWatchResponse, Status>> + Send>>;

    async fn list_and_watch(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<Self::ListAndWatchStream>, Status> {
        let device = pb::Device { id: self.hash.clone(), health: HEALTHY.to_owned() };
        let list = tokio_stream::once(Ok(pb::ListAndWatchResponse { devices: vec![device] }));
        // The end of the stream would be the end of the device.
        Ok(Response::new(Box::pin(list.chain(tokio_stream::pending()))))
    }

    async fn allocate(
        &self,
        request: Request<pb::AllocateRequest>,
    ) -> Result<Response<pb::AllocateResponse>, Status> {
        let spec = |spec: &crate::discovered::DeviceSpec| pb::DeviceSpec {
            container_path: spec.container_path.clone(),
            host_path: spec.host_path.clone(),
            permissions: spec.permissions.clone(),
        };
        let given = |_| pb::ContainerAllocateResponse {
            envs: self.device.variables(&self.hash).collect(),
            devices: self.device.device_specs.iter().map(spec).collect(),
        };
        let container_responses = request.into_inner().container_requests.into_iter().map(given).collect();
        Ok(Response::new(pb::AllocateResponse { container_responses }))
    }
}
