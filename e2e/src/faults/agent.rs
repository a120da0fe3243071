//! Akri's agent, played, as a process of its own. It does what the real one does with endpoints and streams: a stream for
//! each Configuration and endpoint when the endpoint registers; an endpoint whose stream ends is dropped; when the last
//! stream of a Configuration ends, all endpoints that ever registered are asked again, with the real one's back-off.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akri_proxy::akri::REGISTRATION_SOCKET;
use akri_proxy::pb::discovery_handler_client::DiscoveryHandlerClient;
use akri_proxy::pb::registration_server::{Registration, RegistrationServer};
use akri_proxy::pb::{DiscoverRequest, Empty, RegisterDiscoveryHandlerRequest};
use anyhow::Context;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::UdsConnectInfo;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

use super::said::Said;

/// What is written to its standard input to have it make its socket anew.
pub(super) const REBIND: &str = "rebind";
/// The agent's longest back-off here; the real one goes on doubling.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(8);

/// What the agent is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Akri's directory
    #[arg(long)]
    directory: PathBuf,
    /// The discovery details of a Configuration (repeatable)
    #[arg(long)]
    details: Vec<String>,
}

enum Happening {
    Registered(Said),
    Rebind,
    /// Nobody gives orders any more.
    Over,
    /// The headers came.
    Opened {
        config: usize,
        endpoint: String,
        stream: u64,
        pid: i32,
    },
    Ended {
        config: usize,
        endpoint: String,
        stream: u64,
    },
    /// It came to no stream.
    Refused {
        config: usize,
        endpoint: String,
    },
    AskAgain {
        config: usize,
    },
}

/// A Discover.
struct Open {
    stream: u64,
    /// Who serves it, once the headers are there. Until then it may reach whoever listens at the endpoint by then.
    pid: Option<i32>,
}

struct Agent {
    details: Vec<String>,
    happenings: mpsc::UnboundedSender<Happening>,
    /// Every endpoint that ever registered.
    endpoints: BTreeSet<String>,
    /// Discovers that are under way or open, by Configuration and endpoint.
    open: BTreeMap<(usize, String), Open>,
    back_off: BTreeMap<usize, Duration>,
    streams: u64,
}

/// Plays the agent until its standard input ends.
///
/// # Errors
/// Where it cannot listen.
pub(super) async fn play(args: Args) -> anyhow::Result<()> {
    let (happenings, mut happened) = mpsc::unbounded_channel();
    let mut agent = Agent {
        details: args.details,
        happenings: happenings.clone(),
        endpoints: BTreeSet::new(),
        open: BTreeMap::new(),
        back_off: BTreeMap::new(),
        streams: 0,
    };
    let mut sockets = 1;
    let mut listening = listen(&args.directory, sockets, &happenings)?;
    let ordering = happenings.clone();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if line == REBIND {
                let _ = ordering.send(Happening::Rebind);
            }
        }
        let _ = ordering.send(Happening::Over);
    });
    while let Some(happening) = happened.recv().await {
        match happening {
            Happening::Over => break,
            Happening::Rebind => {
                listening.abort();
                sockets += 1;
                listening = listen(&args.directory, sockets, &happenings)?;
            }
            happening => agent.take(happening),
        }
    }
    Ok(())
}

fn listen(
    directory: &Path,
    socket: u64,
    happenings: &mpsc::UnboundedSender<Happening>,
) -> anyhow::Result<tokio::task::AbortHandle> {
    let path = directory.join(REGISTRATION_SOCKET);
    // As the real one does: unlinks whatever is there.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| format!("{}", path.display()))?;
    let service = RegistrationServer::new(Registrar { socket, happenings: happenings.clone() });
    let serving =
        Server::builder().add_service(service).serve_with_incoming(UnixListenerStream::new(listener));
    Ok(tokio::spawn(async move { drop(serving.await) }).abort_handle())
}

fn say(said: &Said) {
    let line = serde_json::to_string(said).unwrap_or_default();
    // Nobody listens any more: the campaign is over.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

struct Registrar {
    socket: u64,
    happenings: mpsc::UnboundedSender<Happening>,
}

#[tonic::async_trait]
impl Registration for Registrar {
    async fn register_discovery_handler(
        &self,
        request: Request<RegisterDiscoveryHandlerRequest>,
    ) -> Result<Response<Empty>, Status> {
        let info = request.extensions().get::<UdsConnectInfo>();
        let pid = info.and_then(|info| info.peer_cred?.pid()).unwrap_or_default();
        let endpoint = request.into_inner().endpoint;
        let connectable = std::os::unix::net::UnixStream::connect(&endpoint).is_ok();
        let said = Said::Registered { socket: self.socket, pid, endpoint, connectable };
        let _ = self.happenings.send(Happening::Registered(said));
        Ok(Response::new(Empty {}))
    }
}

impl Agent {
    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Registered(said) => {
                say(&said);
                let Said::Registered { endpoint, pid, .. } = said else { return };
                // While the agent was stopped, a proxy may have registered, been killed and been replaced. The real agent
                // would open a second stream at its successor, which does no harm; but streams are counted here.
                if !Path::new("/proc").join(pid.to_string()).exists() {
                    return;
                }
                self.endpoints.insert(endpoint.clone());
                // Another process's stream that still counts as open is a dead predecessor's. (Where the same process comes
                // again the real agent would ask it a second time; whether it may come is the contract's.)
                let stays = |open: &Open| open.pid.is_none_or(|other| other == pid);
                self.open.retain(|(_, other), open| *other != endpoint || stays(open));
                (0..self.details.len()).for_each(|config| self.ask(config, &endpoint));
            }
            Happening::Opened { config, endpoint, stream, pid } => {
                if let Some(open) =
                    self.open.get_mut(&(config, endpoint)).filter(|open| open.stream == stream)
                {
                    open.pid = Some(pid);
                    self.back_off.remove(&config);
                }
            }
            Happening::Ended { config, endpoint, stream } => {
                let key = (config, endpoint);
                if self.open.get(&key).is_some_and(|open| open.stream == stream) {
                    self.open.remove(&key);
                }
                self.ask_again(config, Duration::ZERO);
            }
            Happening::Refused { config, endpoint } => {
                self.open.remove(&(config, endpoint));
                let wait = *self.back_off.get(&config).unwrap_or(&Duration::from_secs(1));
                self.back_off.insert(config, (wait * 2).min(LONGEST_BACK_OFF));
                self.ask_again(config, wait);
            }
            Happening::AskAgain { config } if !self.has_any(config) => {
                let endpoints: Vec<String> = self.endpoints.iter().cloned().collect();
                endpoints.iter().for_each(|endpoint| self.ask(config, endpoint));
            }
            Happening::AskAgain { .. } | Happening::Rebind | Happening::Over => {}
        }
    }

    fn has_any(&self, config: usize) -> bool {
        self.open.keys().any(|(other, _)| *other == config)
    }

    /// Where nothing is left of a Configuration's streams, all endpoints are asked after a wait.
    fn ask_again(&self, config: usize, wait: Duration) {
        if self.has_any(config) {
            return;
        }
        let happenings = self.happenings.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = happenings.send(Happening::AskAgain { config });
        });
    }

    /// Opens a stream, unless there is one.
    fn ask(&mut self, config: usize, endpoint: &str) {
        if self.open.contains_key(&(config, endpoint.to_owned())) {
            return;
        }
        self.streams += 1;
        let (stream, endpoint) = (self.streams, endpoint.to_owned());
        self.open.insert((config, endpoint.clone()), Open { stream, pid: None });
        let request = DiscoverRequest {
            discovery_details: self.details[config].clone(),
            discovery_properties: Default::default(),
        };
        let happenings = self.happenings.clone();
        tokio::spawn(async move {
            let mut pid = 0;
            let opened = |pid| {
                let _ =
                    happenings.send(Happening::Opened { config, endpoint: endpoint.clone(), stream, pid });
            };
            let happening = match follow(stream, config, &endpoint, request, &mut pid, opened).await {
                Ok(code) => {
                    say(&Said::Ended { stream, code });
                    Happening::Ended { config, endpoint, stream }
                }
                Err(status) => {
                    let (code, message) = (format!("{:?}", status.code()), status.message().to_owned());
                    say(&Said::Refused { config, pid, code, message });
                    Happening::Refused { config, endpoint }
                }
            };
            let _ = happenings.send(happening);
        });
    }
}

/// A Discover from beginning to end; an error before its headers, the code of its end after them.
async fn follow(
    stream: u64,
    config: usize,
    endpoint: &str,
    request: DiscoverRequest,
    pid: &mut i32,
    opened: impl FnOnce(i32),
) -> Result<String, Status> {
    let connected = UnixStream::connect(endpoint).await?;
    *pid = connected.peer_cred()?.pid().unwrap_or_default();
    let mut connected = Some(TokioIo::new(connected));
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let taken = connected.take().ok_or(std::io::ErrorKind::NotConnected);
        async move { taken.map_err(std::io::Error::from) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await;
    let mut client =
        DiscoveryHandlerClient::new(channel.map_err(|error| Status::unavailable(error.to_string()))?);
    let asked = Instant::now();
    let mut lists = client.discover(request).await?.into_inner();
    let headers_ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
    say(&Said::Opened { stream, config, pid: *pid, headers_ms });
    opened(*pid);
    loop {
        match lists.message().await {
            Ok(Some(list)) => {
                say(&Said::Listed {
                    stream,
                    ids: list.devices.into_iter().map(|device| device.id).collect(),
                });
            }
            Ok(None) => return Ok("Ok".to_owned()),
            Err(status) => return Ok(format!("{:?}", status.code())),
        }
    }
}
