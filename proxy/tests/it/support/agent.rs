//! The Akri Agent, as far as a handler sees it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use akri_proxy::pb::discovery_handler_client::DiscoveryHandlerClient;
use akri_proxy::pb::registration_server::{Registration, RegistrationServer};
use akri_proxy::pb::{ByteData, DiscoverRequest, DiscoverResponse, Empty, RegisterDiscoveryHandlerRequest};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use super::{PATIENCE, SILENCE, soon};

/// Listens where handlers register.
pub struct Agent {
    path: PathBuf,
    server: JoinHandle<()>,
    registrations: mpsc::UnboundedReceiver<(RegisterDiscoveryHandlerRequest, bool)>,
}

impl Agent {
    pub fn start(akri: &Path) -> Self {
        let path = akri.join("agent-registration.sock");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let (sender, registrations) = mpsc::unbounded_channel();
        let service = Server::builder().add_service(RegistrationServer::new(Registrar(sender)));
        let server = tokio::spawn(async move {
            let _ = service.serve_with_incoming(UnixListenerStream::new(listener)).await;
        });
        Self { path, server, registrations }
    }

    /// The next registration.
    pub async fn registered(&mut self) -> RegisterDiscoveryHandlerRequest {
        self.registered_and_connectable().await.0
    }

    /// The next registration, and whether its endpoint could be connected to at the very moment when it came.
    pub async fn registered_and_connectable(&mut self) -> (RegisterDiscoveryHandlerRequest, bool) {
        soon("a registration", self.registrations.recv()).await.unwrap()
    }

    /// Makes sure that nobody registers for a while.
    pub async fn stays_silent(&mut self) {
        if let Ok(registration) = tokio::time::timeout(SILENCE, self.registrations.recv()).await {
            panic!("registered again: {registration:?}");
        }
    }

    /// Dies as by a signal: the socket's file stays.
    pub async fn die(self) {
        self.server.abort();
        let _ = self.server.await;
        assert!(self.path.exists());
    }
}

struct Registrar(mpsc::UnboundedSender<(RegisterDiscoveryHandlerRequest, bool)>);

#[tonic::async_trait]
impl Registration for Registrar {
    async fn register_discovery_handler(
        &self,
        request: Request<RegisterDiscoveryHandlerRequest>,
    ) -> Result<Response<Empty>, Status> {
        let request = request.into_inner();
        let connectable = std::os::unix::net::UnixStream::connect(&request.endpoint).is_ok();
        let _ = self.0.send((request, connectable));
        Ok(Response::new(Empty {}))
    }
}

/// A Discover stream.
pub struct Lists(Streaming<DiscoverResponse>);

impl Lists {
    /// The next list, as ids.
    pub async fn next(&mut self) -> Vec<String> {
        self.next_full().await.devices.into_iter().map(|device| device.id).collect()
    }

    /// The next list, with all that is in it.
    pub async fn next_full(&mut self) -> DiscoverResponse {
        match soon("a list", self.0.message()).await {
            Ok(Some(list)) => list,
            other => panic!("the stream ended: {other:?}"),
        }
    }

    /// Makes sure that the stream lives and says nothing for a while.
    pub async fn stays_silent(&mut self) {
        if let Ok(said) = tokio::time::timeout(SILENCE, self.0.message()).await {
            panic!("said or ended: {said:?}");
        }
    }

    /// Waits for the stream's end; the lists that it still says are passed over.
    pub async fn end(mut self) -> Result<(), Status> {
        tokio::time::timeout(PATIENCE, async {
            while self.0.message().await?.is_some() {}
            Ok(())
        })
        .await
        .unwrap()
    }
}

/// Opens a stream on a connection of its own, as the agent does.
pub async fn try_discover(
    endpoint: &str,
    details: &str,
    properties: &[(&str, Option<&[u8]>)],
) -> Result<(Lists, Duration), Status> {
    let channel = connect(endpoint).await;
    let started = std::time::Instant::now();
    let request = DiscoverRequest {
        discovery_details: details.to_owned(),
        discovery_properties: properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), ByteData { vec: value.map(<[u8]>::to_vec) }))
            .collect(),
    };
    let lists = soon("headers", DiscoveryHandlerClient::new(channel).discover(request)).await?;
    Ok((Lists(lists.into_inner()), started.elapsed()))
}

/// Opens a stream that has to open.
pub async fn discover(endpoint: &str, details: &str) -> Lists {
    try_discover(endpoint, details, &[]).await.unwrap().0
}

async fn connect(endpoint: &str) -> Channel {
    if endpoint.starts_with("http://") {
        return Endpoint::from_shared(endpoint.to_owned()).unwrap().connect().await.unwrap();
    }
    let path = endpoint.to_owned();
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    Endpoint::from_static("http://agent").connect_with_connector(connector).await.unwrap()
}
