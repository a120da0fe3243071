//! Registers with the agent, and again only when the agent needs it: its socket was made anew (it restarted), or every
//! stream was lost. Registering an endpoint that is known makes the agent open every stream a second time.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::inotify::WatchFlags;
use tonic::transport::{Channel, Endpoint};

use crate::akri::REGISTRATION_SOCKET;
use crate::inotify::Inotify;
use crate::pb::RegisterDiscoveryHandlerRequest;
use crate::pb::registration_client::RegistrationClient;
use crate::random::random;
use crate::state::Shared;
use crate::{clock, unix};

/// The first wait after a failed try; each further one doubles it. Short, because an agent makes its socket a moment
/// before it listens there, and we see it made.
const FIRST_RETRY: Duration = Duration::from_millis(2);
/// The longest wait. Only where the socket is there and nobody answers: a new socket is seen at once.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// How long a registration may take: the agent answers only when it may have its lock, which a handler that hangs can
/// hold for 20 s.
const CALL: Duration = Duration::from_secs(30);
/// How long there have to be no streams after there were some, before that counts as lost: the agent itself re-opens
/// a stream at once.
const LOST: Duration = Duration::from_secs(1);
/// The longest time between two registrations because of lost streams; the first ones come quicker.
const LONGEST_LOST: Duration = Duration::from_secs(60);

/// What to register.
#[derive(Clone, Debug)]
pub(crate) struct Registrar {
    pub(crate) directory: PathBuf,
    pub(crate) request: RegisterDiscoveryHandlerRequest,
    pub(crate) shared: Shared,
}

/// Which socket it is: another file under the name is another agent. With the time when it was made, for a file system may
/// give a number out again; not the time of its last change of mode or owner, which makes no other agent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64, i64, i64);

impl Registrar {
    /// Keeps the proxy registered until it is dropped.
    pub(crate) async fn run(self) -> io::Result<()> {
        let socket = self.directory.join(REGISTRATION_SOCKET);
        let mut watch = SocketWatch::new(&self.directory)?;
        let mut registered: Option<Identity> = None;
        let mut retry = FIRST_RETRY;
        let mut failed_at: Option<(Identity, Instant)> = None;
        let mut lost = LostStreams::new(&self.shared);
        loop {
            watch.arm();
            let there = identity(&socket);
            if registered.is_some() && there != registered {
                tracing::info!("the agent's socket is another one now, or gone");
                registered = None;
                self.shared.update(|state| state.registration.registered = false);
            }
            let backing_off = failed_at.filter(|(failed, _)| Some(*failed) == there).map(|(_, until)| until);
            if registered.is_none()
                && let Some(socket_there) = there
                && backing_off.is_none_or(|until| until <= Instant::now())
            {
                match self.register(&socket).await {
                    Ok(()) => {
                        registered = Some(socket_there);
                        (retry, failed_at) = (FIRST_RETRY, None);
                        lost.registered();
                        continue;
                    }
                    Err(error) => {
                        let wait = jittered(retry);
                        tracing::warn!(
                            error,
                            again_ms = wait.as_millis() as u64,
                            "cannot register with the agent"
                        );
                        self.shared.update(|state| state.registration.error = Some(error));
                        failed_at = Some((socket_there, Instant::now() + wait));
                        retry = (retry * 2).min(LONGEST_RETRY);
                        continue;
                    }
                }
            }
            let timer = clock::at(backing_off.filter(|_| registered.is_none()));
            tokio::select! {
                changed = watch.changed() => {
                    changed?;
                    // The socket was touched: whoever makes it now may be quick.
                    if identity(&socket) != there {
                        (retry, failed_at) = (FIRST_RETRY, None);
                    }
                }
                () = timer => {}
                () = lost.all(), if registered.is_some() => {
                    tracing::warn!("every stream was lost and none came back, registering again");
                    registered = None;
                    self.shared.update(|state| state.registration.registered = false);
                }
            }
        }
    }

    async fn register(&self, socket: &Path) -> Result<(), String> {
        let started = Instant::now();
        let call = async {
            let channel: Channel = unix::connect(Endpoint::from_static(unix::AUTHORITY), socket.to_owned())
                .await
                .map_err(|error| unix::why(&error))?;
            let mut client = RegistrationClient::new(channel);
            client.register_discovery_handler(self.request.clone()).await.map_err(|status| status.to_string())
        };
        tokio::time::timeout(CALL, call)
            .await
            .map_err(|_| format!("no answer within {} s", CALL.as_secs()))??;
        let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
        let RegisterDiscoveryHandlerRequest { name, endpoint, .. } = &self.request;
        tracing::info!(name, endpoint, milliseconds, "registered with the agent");
        self.shared.update(|state| {
            state.registration.registered = true;
            state.registration.count += 1;
            state.registration.error = None;
        });
        Ok(())
    }
}

/// Knows when the last stream is gone for good.
struct LostStreams {
    state: tokio::sync::watch::Receiver<crate::state::State>,
    /// Streams ever opened at the last registration: without a new one nothing can be lost.
    opened_before: u64,
    wait: Duration,
    last_registered: Option<Instant>,
}

impl LostStreams {
    fn new(shared: &Shared) -> Self {
        Self { state: shared.subscribe(), opened_before: 0, wait: LOST, last_registered: None }
    }

    fn registered(&mut self) {
        self.opened_before = self.state.borrow().streams.total;
        // An agent that keeps closing what it opens must not be asked ever faster.
        let soon = self.last_registered.is_some_and(|at| at.elapsed() < self.wait * 2);
        self.wait = if soon { (self.wait * 2).min(LONGEST_LOST) } else { LOST };
        self.last_registered = Some(Instant::now());
    }

    async fn all(&mut self) {
        let opened_before = self.opened_before;
        loop {
            let none_left = |s: &crate::state::State| s.streams.total > opened_before && s.streams.open == 0;
            if self.state.wait_for(none_left).await.is_err() {
                return std::future::pending().await;
            }
            let back = self.state.wait_for(|state| state.streams.open > 0);
            if tokio::time::timeout(self.wait, back).await.is_err() {
                return;
            }
        }
    }
}

/// Sees the agent's socket come and go, also where its directory is not there yet.
struct SocketWatch {
    inotify: Inotify,
    directory: PathBuf,
    /// Whether the directory itself was there when the watch was armed.
    there: bool,
}

impl SocketWatch {
    fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self { inotify: Inotify::new()?, directory: directory.to_owned(), there: false })
    }

    /// Watches the directory, or the nearest one above it that is there.
    fn arm(&mut self) {
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        for directory in self.directory.ancestors() {
            if self.inotify.add(directory, flags).is_ok() {
                self.there = directory == self.directory;
                return;
            }
        }
    }

    /// Returns when something happened that may concern the socket.
    async fn changed(&self) -> io::Result<()> {
        loop {
            let events = self.inotify.events().await?;
            // Handlers' own sockets come and go in this directory, too.
            let concerns = |event: &crate::inotify::Event| match event.name.as_deref() {
                Some(name) => !self.there || name == REGISTRATION_SOCKET,
                None => true,
            };
            if events.iter().any(concerns) {
                return Ok(());
            }
        }
    }
}

fn identity(socket: &Path) -> Option<Identity> {
    let metadata =
        std::fs::symlink_metadata(socket).ok().filter(|metadata| metadata.file_type().is_socket())?;
    Some(Identity(metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
}

/// Between half of a time and all of it, so that handlers do not come all at once.
fn jittered(wait: Duration) -> Duration {
    wait / 2 + wait / 2 * u32::try_from(random() % 1024).unwrap_or(0) / 1024
}

/// Waits for the discovery handlers' directory. The kubelet makes it for a pod, but not everything is a pod.
pub(crate) async fn directory(path: &Path) -> io::Result<()> {
    let mut watch = SocketWatch::new(path)?;
    let mut said = false;
    loop {
        watch.arm();
        if path.is_dir() {
            return Ok(());
        }
        if !std::mem::replace(&mut said, true) {
            tracing::warn!(directory = %path.display(), "waiting for the discovery handlers' directory, which is not there");
        }
        watch.changed().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_half_and_all() {
        for _ in 0..1000 {
            let wait = jittered(Duration::from_secs(1));
            assert!(wait >= Duration::from_millis(500) && wait <= Duration::from_secs(1), "{wait:?}");
        }
    }
}
