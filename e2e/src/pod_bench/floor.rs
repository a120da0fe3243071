//! What calls and changes are compared with, as another process, for the pod's are others, too: the bare transport with the same
//! message, and a handler that is native.

use std::collections::HashMap;
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use akri_exchange::{Answer, Device, RequestId, layout};
use akri_proxy::pb::discovery_handler_server::{DiscoveryHandler, DiscoveryHandlerServer, SERVICE_NAME};
use akri_proxy::pb::{self, DiscoverRequest, DiscoverResponse};
use anyhow::Context;
use prost::Message;
use prost::bytes::BufMut;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tempfile::TempDir;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixListener;
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::body::Body;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::process::Program;
use crate::{uds, wait};

const BARE: &str = "bare.sock";
const NATIVE: &str = "native.sock";
/// Until the process listens.
const UP: Duration = Duration::from_secs(10);
/// A call as HTTP has it.
type Call = tonic::codegen::http::Request<Body>;

/// debugEcho's property.
const PROPERTY: &str = "DEBUG_ECHO_DESCRIPTION";

/// The process. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Floor {
    folder: TempDir,
    /// It ends with us, also where we are killed.
    _process: Child,
}

impl Floor {
    pub(super) async fn start() -> anyhow::Result<Self> {
        // In memory, as the exchange is.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        for name in [layout::ANSWERS, layout::INPUTS] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        let process = Program::from(std::env::current_exe()?)
            .tied()
            .arg("--floor")
            .arg(folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run this program again")?;
        let sockets = [BARE, NATIVE].map(|name| folder.path().join(name));
        let there = async || Ok(sockets.iter().all(|socket| socket.exists()).then_some(()));
        wait::until("the floor listens", UP, there).await?;
        Ok(Self { folder, _process: process })
    }

    /// The bare transport.
    pub(super) async fn bare(&self) -> anyhow::Result<Channel> {
        uds::connect(&self.folder.path().join(BARE)).await
    }

    /// A native handler.
    pub(super) async fn native(&self) -> anyhow::Result<Channel> {
        uds::connect(&self.folder.path().join(NATIVE)).await
    }

    /// Where a change makes the bare transport say its other message.
    pub(super) fn inputs(&self) -> PathBuf {
        self.folder.path().join(layout::INPUTS)
    }
}

/// Is that process.
pub(super) async fn serve(folder: &Path) -> anyhow::Result<()> {
    let listen = |name: &str| UnixListener::bind(folder.join(name)).map(UnixListenerStream::new);
    let (changed, changes) = watch::channel(());
    let bare = Bare {
        ready: Arc::default(),
        answers: Arc::new(watched(&folder.join(layout::ANSWERS))?),
        folder: folder.to_owned(),
        changes,
    };
    let bare = Server::builder().add_service(bare).serve_with_incoming(listen(BARE)?);
    let native = DiscoveryHandlerServer::new(Native);
    let native = Server::builder().add_service(native).serve_with_incoming(listen(NATIVE)?);
    let inputs = folder.join(layout::INPUTS);
    tokio::select! {
        served = bare => Ok(served?),
        served = native => Ok(served?),
        ended = tell(&inputs, &changed) => ended,
    }
}

/// Tells of each change in a folder.
async fn tell(folder: &Path, changed: &watch::Sender<()>) -> anyhow::Result<()> {
    // SAFETY: an `OwnedFd` is open, always the same descriptor, and closed only when the `AsyncFd` drops it.
    let events = unsafe { AsyncFd::register(watched(folder)?) }.map_err(std::io::Error::from)?;
    loop {
        let mut guard = events.readable().await?;
        let mut buffer = [0; 1024];
        if let Ok(Ok(_)) = guard.try_io(|events| Ok(rustix::io::read(events.get_ref(), &mut buffer)?)) {
            changed.send_replace(());
        }
    }
}

/// The devices that details ask for, as debugEcho has them.
fn devices(details: &str) -> Result<Vec<Device>, Status> {
    #[derive(serde::Deserialize)]
    struct Details {
        descriptions: Vec<String>,
    }
    let details: Details =
        serde_yaml_ng::from_str(details).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let device = |text: String| Device::new(text.clone()).property(PROPERTY, text);
    Ok(details.descriptions.into_iter().map(device).collect())
}

fn message(devices: Vec<Device>) -> DiscoverResponse {
    DiscoverResponse { devices: devices.into_iter().map(pb::Device::from).collect() }
}

/// A handler as Akri's own are: a task of its own sends the list into the stream.
struct Native;

#[tonic::async_trait]
impl DiscoveryHandler for Native {
    type DiscoverStream = ReceiverStream<Result<DiscoverResponse, Status>>;

    async fn discover(
        &self,
        request: Request<DiscoverRequest>,
    ) -> Result<Response<Self::DiscoverStream>, Status> {
        let details = request.into_inner().discovery_details;
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let list = devices(&details).map(message);
            // Nobody reads any more: the call is over.
            let _ = sender.send(list).await;
            sender.closed().await;
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Nobody thinks here: what is said is ready from the first call on, by the length of the details.
#[derive(Clone)]
struct Bare {
    folder: PathBuf,
    ready: Arc<Mutex<HashMap<usize, Ready>>>,
    /// Events of the answers' folder. Held for as long as the process lives: to let go of one takes the kernel milliseconds.
    answers: Arc<OwnedFd>,
    changes: watch::Receiver<()>,
}

#[derive(Clone)]
struct Ready {
    /// The answer as a handler would write it.
    answer: Arc<[u8]>,
    /// The message for the agent.
    message: Arc<[u8]>,
}

impl Bare {
    fn ready(&self, details: &str) -> Result<Ready, Status> {
        // A poisoned map is as good as any: what is in it was put in whole.
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = ready.get(&details.len()) {
            return Ok(ready.clone());
        }
        let devices = devices(details)?;
        let answer = Answer::devices(RequestId::of(details, &Default::default()), devices.clone()).to_json();
        let made = Ready { answer: answer.into(), message: message(devices).encode_to_vec().into() };
        ready.insert(details.len(), made.clone());
        Ok(made)
    }

    /// Writes the answer's file, and hears of it.
    fn answer(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let folder = self.folder.join(layout::ANSWERS);
        let temporary = folder.join(".answer");
        std::fs::write(&temporary, bytes)?;
        std::fs::rename(temporary, folder.join("answer"))?;
        poll(&mut [PollFd::new(&self.answers, PollFlags::IN)], None)?;
        rustix::io::read(&self.answers, &mut [0; 1024])?;
        Ok(())
    }

    fn stream(&self, details: &str) -> anyhow::Result<Messages> {
        let ready = self.ready(details).map_err(|status| anyhow::anyhow!("{status}"))?;
        self.answer(&ready.answer)?;
        let (mut changes, message) = (self.changes.clone(), ready.message);
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut full = true;
            changes.mark_unchanged();
            loop {
                let said: Arc<[u8]> = if full { message.clone() } else { Arc::from([]) };
                full = !full;
                if sender.send(Ok(said)).await.is_err() {
                    break;
                }
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { break },
                    () = sender.closed() => break,
                }
            }
        });
        Ok(ReceiverStream::new(receiver))
    }
}

fn watched(folder: &Path) -> anyhow::Result<OwnedFd> {
    let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(&events, folder, WatchFlags::MOVED_TO)?;
    Ok(events)
}

/// The message at once, and at each change the empty one and the message in turn.
type Messages = ReceiverStream<Result<Arc<[u8]>, Status>>;

impl NamedService for Bare {
    const NAME: &'static str = SERVICE_NAME;
}

impl tower::Service<Call> for Bare {
    type Response = tonic::codegen::http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let discover = Discover(self.clone());
        Box::pin(async move { Ok(Grpc::new(Raw::default()).server_streaming(discover, call).await) })
    }
}

/// Its only method.
struct Discover(Bare);

impl ServerStreamingService<DiscoverRequest> for Discover {
    type Response = Arc<[u8]>;
    type ResponseStream = Messages;
    type Future = std::future::Ready<Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<DiscoverRequest>) -> Self::Future {
        let stream = self.0.stream(&request.into_inner().discovery_details);
        std::future::ready(stream.map(Response::new).map_err(|error| Status::internal(format!("{error:#}"))))
    }
}

/// Messages that are encoded already.
#[derive(Default)]
struct Raw(ProstCodec<(), DiscoverRequest>);

impl Codec for Raw {
    type Encode = Arc<[u8]>;
    type Decode = DiscoverRequest;
    type Encoder = Self;
    type Decoder = <ProstCodec<(), DiscoverRequest> as Codec>::Decoder;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        self.0.decoder()
    }
}

impl Encoder for Raw {
    type Item = Arc<[u8]>;
    type Error = Status;

    fn encode(&mut self, message: Arc<[u8]>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}
