//! containerd through the Container Runtime Interface: its state, and pods for a trial.

mod pods;
mod state;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use k8s_cri::v1;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

pub use state::{CriState, LiveRuntime};

use crate::system::Patience;

/// gRPC wants an authority; over a Unix socket nobody reads it.
const AUTHORITY: &str = "http://localhost";
/// How long one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// How long containerd may take to answer after a start.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks for it. Its socket is there before its CRI is, so there is no event to wait for.
const PAUSE: Duration = Duration::from_millis(50);
/// The key under which containerd has its configuration in the answer to `Status`.
const CONFIG: &str = "config";

/// Why containerd's CRI cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    /// No socket, or nobody behind it.
    #[error("nobody answers at {path}: is containerd running?")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: tonic::transport::Error,
    },
    /// As before, for who only plays.
    #[error("nobody answers at {path}: is containerd running?")]
    Down {
        /// The socket.
        path: PathBuf,
    },
    /// It answers, but not this.
    #[error("containerd refuses {call}: {}", .status.message().escape_debug())]
    Call {
        /// What was asked.
        call: &'static str,
        /// What it said.
        status: Box<tonic::Status>,
    },
    /// Something that should be in an answer is not.
    #[error("containerd's answer to {0} is not whole")]
    Incomplete(&'static str),
    /// What was waited for did not happen.
    #[error("waited {0} s in vain until {1}")]
    TimedOut(u64, &'static str),
    /// The root is a folder: nothing runs in it.
    #[error("nothing runs in a root folder")]
    NotLive,
}

impl CriError {
    fn call(call: &'static str) -> impl FnOnce(tonic::Status) -> Self {
        move |status| Self::Call { call, status: Box::new(status) }
    }
}

/// A client of both services.
#[derive(Clone, Debug)]
pub struct Cri {
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
}

impl Cri {
    /// Connects to containerd's socket.
    ///
    /// # Errors
    /// Where nobody listens there.
    pub async fn connect(path: &Path) -> Result<Self, CriError> {
        let socket = path.to_owned();
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static(AUTHORITY)
            .timeout(CALL_LIMIT)
            .connect_with_connector(connector)
            .await
            .map_err(|source| CriError::Connect { path: path.to_owned(), source })?;
        let (runtime, images) =
            (RuntimeServiceClient::new(channel.clone()), ImageServiceClient::new(channel));
        Ok(Self { runtime, images })
    }

    /// Connects, and asks for the state.
    pub(crate) async fn state(path: &Path, patience: Patience) -> Result<CriState, CriError> {
        let began = Instant::now();
        loop {
            let state = async { Self::connect(path).await?.status().await }.await;
            match state {
                // The runtime is ready a moment after the service is there.
                Ok(state) if state.runtime_ready || patience == Patience::None => return Ok(state),
                Err(error) if patience == Patience::None => return Err(error),
                other if began.elapsed() > START_LIMIT => return other,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// What containerd says of itself.
    ///
    /// # Errors
    /// With what it says.
    pub async fn status(&mut self) -> Result<CriState, CriError> {
        let version = self
            .runtime
            .version(v1::VersionRequest::default())
            .await
            .map_err(CriError::call("Version"))?
            .into_inner();
        let said = self
            .runtime
            .status(v1::StatusRequest { verbose: true })
            .await
            .map_err(CriError::call("Status"))?
            .into_inner();
        let config = said.info.get(CONFIG).map_or("null", String::as_str);
        let config = serde_json::from_str(config).map_err(|_| CriError::Incomplete("Status"))?;
        let handlers: Vec<String> = said.runtime_handlers.into_iter().map(|handler| handler.name).collect();
        let mut state = CriState::read(&config, &handlers);
        let conditions = said.status.unwrap_or_default().conditions;
        let holds =
            |name: &str| conditions.iter().any(|condition| condition.r#type == name && condition.status);
        state.version = format!("{} {}", version.runtime_name, version.runtime_version);
        state.runtime_ready = holds("RuntimeReady");
        state.network_ready = holds("NetworkReady");
        Ok(state)
    }
}
