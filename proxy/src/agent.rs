//! The Akri Agent, played: for `akri-proxy discover`. Listens where handlers register, asks every endpoint of a name, and
//! unites their lists as the Agent does. It makes no Instance, and knows no Kubernetes.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::akri::{MAX_RESPONSE_BYTES, REGISTRATION_SOCKET};
use crate::pb::discovery_handler_client::DiscoveryHandlerClient;
use crate::pb::registration_server::{Registration, RegistrationServer};
use crate::pb::{Device, DiscoverRequest, Empty, RegisterDiscoveryHandlerRequest};
use crate::unix;

/// Why the agent cannot be played.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    #[error("a live agent owns {0}; ask one handler directly with --endpoint, or use another --directory")]
    Alive(PathBuf),
    #[error("cannot listen on {path}")]
    Listen { path: PathBuf, source: io::Error },
}

/// Where a handler listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Address {
    Unix(PathBuf),
    Network(String),
}

/// What happens to the played agent.
#[derive(Debug)]
pub(crate) enum Happening {
    Registered { name: String, address: Address },
    Listed { address: Address, devices: Vec<Device> },
    Ended { address: Address, status: Status },
}

/// The registration socket. Dropping it removes the file.
pub(crate) struct Socket {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Socket {
    /// Takes the place of an agent that is not there.
    pub(crate) async fn bind(directory: &Path) -> Result<Self, AgentError> {
        let path = directory.join(REGISTRATION_SOCKET);
        if UnixStream::connect(&path).await.is_ok() {
            return Err(AgentError::Alive(path));
        }
        let failed = |source| AgentError::Listen { path: path.clone(), source };
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { path, listener: Some(listener) })
    }

    /// Serves registrations for as long as it is not dropped.
    pub(crate) async fn serve(
        &mut self,
        happenings: mpsc::Sender<Happening>,
        directory: PathBuf,
    ) -> anyhow::Result<()> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        let service = RegistrationServer::new(Registrar { happenings, directory });
        Ok(Server::builder()
            .add_service(service)
            .serve_with_incoming(UnixListenerStream::new(listener))
            .await?)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Somebody else's by now, or gone: either way not ours to care for.
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Registrar {
    happenings: mpsc::Sender<Happening>,
    directory: PathBuf,
}

#[tonic::async_trait]
impl Registration for Registrar {
    async fn register_discovery_handler(
        &self,
        request: Request<RegisterDiscoveryHandlerRequest>,
    ) -> Result<Response<Empty>, Status> {
        let RegisterDiscoveryHandlerRequest { name, endpoint, .. } = request.into_inner();
        let address = Address::parse(&endpoint).seen_from(&self.directory);
        let _ = self.happenings.send(Happening::Registered { name, address }).await;
        Ok(Response::new(Empty {}))
    }
}

impl Address {
    /// A URL of a port, or a path of a socket with or without `unix://`.
    pub(crate) fn parse(text: &str) -> Self {
        match text.strip_prefix("unix://") {
            Some(path) => Address::Unix(path.into()),
            None if text.contains("://") => Address::Network(text.to_owned()),
            None => Address::Unix(text.into()),
        }
    }

    /// A handler in a container says its socket's path as the agent's mount has it. Where that is not there, but the
    /// same name is in the directory that we look at from outside, that is meant.
    fn seen_from(self, directory: &Path) -> Self {
        match &self {
            Address::Unix(path) if !path.exists() => {
                match path.file_name().map(|name| directory.join(name)) {
                    Some(here) if here.exists() => Address::Unix(here),
                    _ => self,
                }
            }
            _ => self,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Unix(path) => path.display().fmt(f),
            Address::Network(url) => f.write_str(url),
        }
    }
}

/// Asks endpoints and unites what they say.
pub(crate) struct Union {
    request: DiscoverRequest,
    happenings: mpsc::Sender<Happening>,
    asked: HashMap<Address, AbortHandle>,
    lists: BTreeMap<Address, Vec<Device>>,
}

impl Union {
    pub(crate) fn new(request: DiscoverRequest, happenings: mpsc::Sender<Happening>) -> Self {
        Self { request, happenings, asked: HashMap::new(), lists: BTreeMap::new() }
    }

    /// Opens a stream to an endpoint; one that has a stream already gets no second one.
    pub(crate) fn ask(&mut self, address: Address) {
        if self.asked.get(&address).is_some_and(|task| !task.is_finished()) {
            return;
        }
        let stream = follow(address.clone(), self.request.clone(), self.happenings.clone());
        self.asked.insert(address, tokio::spawn(stream).abort_handle());
    }

    /// Takes an endpoint's list in.
    pub(crate) fn listed(&mut self, address: Address, devices: Vec<Device>) {
        self.lists.insert(address, devices);
    }

    /// An endpoint's stream ended: its list counts no more. Whether others are left.
    pub(crate) fn ended(&mut self, address: &Address) -> bool {
        self.lists.remove(address);
        self.asked.remove(address);
        !self.lists.is_empty()
    }

    /// All devices, each id once, in the order of the endpoints and of their lists.
    pub(crate) fn devices(&self) -> Vec<Device> {
        let mut seen = std::collections::HashSet::new();
        self.lists.values().flatten().filter(|device| seen.insert(device.id.as_str())).cloned().collect()
    }
}

impl Drop for Union {
    fn drop(&mut self) {
        self.asked.values().for_each(AbortHandle::abort);
    }
}

async fn follow(address: Address, request: DiscoverRequest, happenings: mpsc::Sender<Happening>) {
    let status = match stream(&address, request, &happenings).await {
        Ok(()) => Status::ok("the stream ended"),
        Err(status) => status,
    };
    let _ = happenings.send(Happening::Ended { address, status }).await;
}

async fn stream(
    address: &Address,
    request: DiscoverRequest,
    happenings: &mpsc::Sender<Happening>,
) -> Result<(), Status> {
    let failed = |error: tonic::transport::Error| Status::unavailable(unix::why(&error));
    let channel = match address {
        Address::Unix(path) => unix::connect(Endpoint::from_static(unix::AUTHORITY), path.clone()).await,
        Address::Network(url) => {
            Endpoint::from_shared(url.clone())
                .map_err(|error| Status::invalid_argument(error.to_string()))?
                .connect()
                .await
        }
    };
    let mut client =
        DiscoveryHandlerClient::new(channel.map_err(failed)?).max_decoding_message_size(MAX_RESPONSE_BYTES);
    let mut lists = client.discover(request).await?.into_inner();
    while let Some(list) = lists.message().await? {
        let listed = Happening::Listed { address: address.clone(), devices: list.devices };
        if happenings.send(listed).await.is_err() {
            break;
        }
    }
    Ok(())
}
