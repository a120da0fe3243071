//! The task that owns the exchange: jobs, the handler's state, this proxy's requests. All that happens to them happens
//! here, one thing after the other; streams only see a job's [`View`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use akri_exchange::{Answer, HandlerName, Hello, Outcome, Request, RequestId, Wake, layout, limits};
use prost::Message;
use rustix::fs::inotify::WatchFlags;
use tokio::sync::{mpsc, oneshot, watch};

use super::folder::{self, ORPHAN_GRACE, Orphans, OwnFolder};
use super::job::{Job, MAX_LIST_BYTES, View};
use super::refusals::Refusals;
use super::{Bell, ExchangeDir};
use crate::inotify::{Event, Inotify, Watch};
use crate::metrics::Metrics;
use crate::pb;
use crate::policy::Policy;
use crate::state::{Condition, JobState, Shared};

/// Commands that wait while the hub is busy; a Discover beyond them waits to send its own.
const COMMANDS: usize = 64;
/// How long after a failed write the exchange is mended again. Only while something is wrong.
const MEND_AGAIN: Duration = Duration::from_secs(1);

/// What the hub is told.
#[derive(Clone, Debug)]
pub(crate) struct HubConfig {
    pub(crate) exchange: PathBuf,
    pub(crate) policy: Policy,
    /// Overrides the handler's own grace time.
    pub(crate) removal_grace: Option<Duration>,
    /// How long a handler may owe an answer before it counts as hung.
    pub(crate) answer_deadline: Duration,
    /// The configured name; `None` for whatever the handler announces.
    pub(crate) name: Option<HandlerName>,
}

/// A stream's hold on a job. The job ends when the last one is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) id: RequestId,
    pub(crate) view: watch::Receiver<View>,
    /// Whether a handler lives that could answer.
    pub(crate) handler_alive: bool,
    _release: Release,
}

#[derive(Debug)]
struct Release {
    id: RequestId,
    released: mpsc::UnboundedSender<RequestId>,
}

impl Drop for Release {
    fn drop(&mut self) {
        // When the hub is gone there is no job left to end.
        let _ = self.released.send(self.id);
    }
}

/// The way to the hub.
#[derive(Clone, Debug)]
pub(crate) struct HubHandle {
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
struct Command {
    id: RequestId,
    request: Arc<[u8]>,
    reply: oneshot::Sender<Option<Subscription>>,
}

impl HubHandle {
    /// Joins the job of a request, or begins it. `None` where there is no hub, or no room for another job.
    pub(crate) async fn subscribe(&self, id: RequestId, request: Arc<[u8]>) -> Option<Subscription> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command { id, request, reply }).await.ok()?;
        answer.await.ok()?
    }
}

/// The hub itself; [`Hub::run`] is its life.
pub(crate) struct Hub {
    config: HubConfig,
    dir: ExchangeDir,
    inotify: Inotify,
    watches: HashMap<Watch, Place>,
    own: OwnFolder,
    orphans: Orphans,
    /// Requests that a dead predecessor left in our folder, until somebody asks for them or their time is up.
    inherited: BTreeSet<RequestId>,
    inherited_until: Option<Instant>,
    jobs: BTreeMap<RequestId, Job>,
    bell: Option<Bell>,
    hello: Option<Hello>,
    condition: Condition,
    /// When to see whether the handler has done what it was woken for; `None` while it owes nothing.
    check_at: Option<Instant>,
    mend_at: Option<Instant>,
    refusals: Refusals,
    shared: Shared,
    metrics: Metrics,
    commands: mpsc::Receiver<Command>,
    releases: mpsc::UnboundedReceiver<RequestId>,
    released: mpsc::UnboundedSender<RequestId>,
}

/// What a watch is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Root,
    Answers,
    Inputs,
    Requests,
    /// The lock of another proxy: closing it means that it died or left.
    Peer(u32),
    /// The folder of another proxy that has no lock yet.
    PeerFolder,
}

impl Hub {
    /// Opens the exchange, makes what is missing and takes a folder for this proxy.
    pub(crate) fn open(config: HubConfig, shared: Shared, metrics: Metrics) -> io::Result<(Self, HubHandle)> {
        let dir = ExchangeDir::open(&config.exchange)?;
        dir.ensure_layout()?;
        let inotify = Inotify::new()?;
        let own = OwnFolder::take(&dir)?;
        let (sender, commands) = mpsc::channel(COMMANDS);
        let (released, releases) = mpsc::unbounded_channel();
        shared.update(|state| state.proxy = own.index);
        let now = Instant::now();
        let mut hub = Self {
            config,
            dir,
            inotify,
            watches: HashMap::new(),
            own,
            orphans: Orphans::default(),
            inherited: BTreeSet::new(),
            inherited_until: None,
            jobs: BTreeMap::new(),
            bell: None,
            hello: None,
            condition: Condition::Absent,
            check_at: None,
            mend_at: None,
            refusals: Refusals::new(now),
            shared,
            metrics,
            commands,
            releases,
            released,
        };
        // A `stop` that is there was meant for the time before us.
        hub.dir.remove(hub.dir.root(), layout::STOP)?;
        hub.inherit(now)?;
        hub.watch()?;
        hub.meet_handler();
        Ok((hub, HubHandle { commands: sender }))
    }

    /// Serves until `shutdown`, then leaves the exchange in order.
    pub(crate) async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        loop {
            let due = self.due();
            let gone = async {
                match &self.bell {
                    Some(bell) => bell.gone().await,
                    None => std::future::pending().await,
                }
            };
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut shutdown => break,
                Some(command) = self.commands.recv() => self.subscribe(command),
                Some(id) = self.releases.recv() => self.release(id),
                events = self.inotify.events() => match events {
                    Ok(events) => self.changed(&events),
                    Err(error) => {
                        tracing::error!(%error, "cannot read inotify events, looking at everything");
                        self.mend();
                    }
                },
                () = gone => self.lost_handler(),
                () = timer => self.on_time(Instant::now()),
            }
        }
        self.leave();
    }

    // ---- requests ----

    fn subscribe(&mut self, command: Command) {
        let Command { id, request, reply } = command;
        let now = Instant::now();
        if !self.jobs.contains_key(&id) {
            if self.jobs.len() >= limits::REQUESTS {
                tracing::warn!(limit = limits::REQUESTS, "too many discovery jobs, refusing another");
                let _ = reply.send(None);
                return;
            }
            self.begin(id, request, now);
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.users += 1;
        let subscription = Subscription {
            id,
            view: job.view(),
            handler_alive: self.condition == Condition::Alive,
            _release: Release { id, released: self.released.clone() },
        };
        // A Discover that was cancelled meanwhile drops it again, which ends the job.
        let _ = reply.send(Some(subscription));
        self.report_jobs();
    }

    fn begin(&mut self, id: RequestId, request: Arc<[u8]>, now: Instant) {
        let known = self.inherited.remove(&id);
        self.jobs.insert(id, Job::new(request.clone(), now));
        tracing::info!(job = %id, inherited = known, "discovery job begins");
        // An answer may be there already: of another proxy's job, or of our former life.
        self.answered(id);
        if known {
            // The handler has it; this only makes sure that it is watched while it owes an answer.
            return self.ring(Wake::Requests);
        }
        match self.own.put(&self.dir, id, &request) {
            Ok(()) => self.ring(Wake::Requests),
            Err(error) => {
                tracing::error!(job = %id, %error, "cannot write the request, trying again");
                self.mend_at = Some(now + MEND_AGAIN);
            }
        }
    }

    fn release(&mut self, id: RequestId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.users -= 1;
        if job.users == 0 {
            self.jobs.remove(&id);
            tracing::info!(job = %id, "discovery job ends");
            self.take_down(id);
            self.ring(Wake::Requests);
        }
        self.report_jobs();
    }

    fn take_down(&mut self, id: RequestId) {
        if let Err(error) = self.own.take_down(&self.dir, id) {
            tracing::warn!(job = %id, %error, "cannot remove the request");
        }
        // The handler removes the answer of a request that nobody asks. Where none lives, a later life of this job
        // must not begin with what was true long ago.
        if self.bell.is_none() && !self.asked_by_others(id) {
            let answers = self.dir.folder(layout::ANSWERS);
            let _ = answers.and_then(|answers| self.dir.remove(answers, &layout::message(id)));
        }
    }

    fn asked_by_others(&self, id: RequestId) -> bool {
        let requests = self.dir.path().join(layout::REQUESTS);
        folder::others(&self.dir, Some(self.own.index))
            .iter()
            .any(|index| requests.join(layout::proxy_folder(*index)).join(layout::message(id)).exists())
    }

    /// Takes over what a dead predecessor left in our folder, and notes what other dead proxies left in theirs.
    fn inherit(&mut self, now: Instant) -> io::Result<()> {
        let known = |id: &RequestId| self.jobs.contains_key(id);
        self.inherited = self.own.requests(&self.dir)?.into_iter().filter(|id| !known(id)).collect();
        if !self.inherited.is_empty() {
            tracing::info!(
                requests = self.inherited.len(),
                "found the requests of a former life of this proxy"
            );
            self.inherited_until = Some(now + ORPHAN_GRACE);
        }
        for index in folder::others(&self.dir, Some(self.own.index)) {
            self.orphans.notice(index, now);
        }
        Ok(())
    }

    // ---- the handler ----

    fn ring(&mut self, wake: Wake) {
        let Some(bell) = &self.bell else { return };
        bell.ring(wake);
        self.metrics.wakes.inc();
        self.check_at.get_or_insert(Instant::now() + self.config.answer_deadline);
    }

    /// Reads the announcement, if there is one, and opens the FIFO, if somebody reads it.
    fn meet_handler(&mut self) {
        let hello = match self.dir.read(self.dir.root(), layout::HELLO, limits::HELLO_BYTES) {
            Ok(None) => return,
            Ok(Some(bytes)) => Hello::parse(&bytes).map_err(|error| (error.reason(), error.to_string())),
            Err(error) => Err(("file", error.to_string())),
        };
        let hello = match hello {
            Ok(hello) => hello,
            Err((reason, error)) => return self.refuse(layout::HELLO, reason, &error),
        };
        self.compare(&hello);
        let restarted = self.hello.as_ref().is_some_and(|before| before.instance != hello.instance);
        let bell = Bell::open(&self.dir).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot open the FIFO");
            None
        });
        self.set_condition(if bell.is_some() { Condition::Alive } else { Condition::Gone });
        self.bell = bell;
        if self.bell.is_some() {
            tracing::info!(name = %hello.name, version = hello.version, restarted, "handler is there");
        } else {
            tracing::warn!(name = %hello.name, "the handler that announced itself is gone");
        }
        self.shared.update(|state| {
            state.handler.name = Some(hello.name.to_string());
            state.handler.version = Some(hello.version.clone());
            state.handler.shared = hello.shared;
            state.handler.restarts += u64::from(restarted);
        });
        self.hello = Some(hello);
        // A new handler looks at everything by itself; this makes sure that it is watched while it does.
        self.check_at = None;
        let now = Instant::now();
        // One that it crashed over it may take its time with; its answer says so already.
        let owed = |job: &&mut Job| job.devices().is_none() && job.failure.is_none();
        self.jobs.values_mut().filter(owed).for_each(|job| job.awaited = Some(now));
        self.ring(Wake::Requests);
    }

    fn compare(&self, hello: &Hello) {
        if let Some(name) = &self.config.name
            && *name != hello.name
        {
            tracing::warn!(
                configured = %name, announced = %hello.name,
                "THE HANDLER ANNOUNCES ANOTHER NAME than DISCOVERY_HANDLER_NAME; registering as configured"
            );
        }
        if let Some(before) = &self.hello {
            if before.version != hello.version {
                tracing::info!(
                    from = before.version,
                    to = hello.version,
                    "handler was replaced by another version"
                );
            }
            if self.config.name.is_none() && before.name != hello.name {
                tracing::warn!(
                    registered = %before.name, announced = %hello.name,
                    "THE HANDLER CHANGED ITS NAME; the registered one stays until the proxy is restarted"
                );
            }
        }
    }

    fn lost_handler(&mut self) {
        let Some(_) = self.bell.take() else { return };
        self.check_at = None;
        self.jobs.values_mut().for_each(|job| job.awaited = None);
        tracing::warn!(jobs = self.jobs.len(), "handler is gone; streams stay and the last lists stand");
        self.set_condition(Condition::Gone);
        // It may be back already: its announcement came before we noticed the end of the old one.
        if Bell::open(&self.dir).is_ok_and(|bell| bell.is_some()) {
            self.meet_handler();
        }
    }

    fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
        self.shared.update(|state| state.handler.condition = condition);
    }

    /// Whether the handler owes an answer for longer than allowed.
    fn check_handler(&mut self, now: Instant) {
        self.check_at = None;
        let Some(bell) = &self.bell else { return };
        let deadline = self.config.answer_deadline;
        let late = |since: Instant| now.duration_since(since) >= deadline;
        let owes = self.jobs.values().filter_map(|job| job.awaited).any(late);
        let was_hung = self.condition == Condition::Hung;
        if bell.unanswered() || owes {
            if !was_hung {
                tracing::warn!(
                    seconds = deadline.as_secs_f64(),
                    "handler is hung: it answers nothing; the last lists stand"
                );
                self.set_condition(Condition::Hung);
            }
            self.check_at = Some(now + deadline);
        } else {
            if was_hung {
                self.recovered();
            }
            let next = self.jobs.values().filter_map(|job| job.awaited).min();
            self.check_at = next.map(|since| since + deadline);
        }
    }

    fn recovered(&mut self) {
        tracing::info!("handler answers again");
        self.set_condition(Condition::Alive);
    }

    // ---- answers ----

    /// Looks at the answer of a job; whatever is wrong with it, the last good one stands.
    fn answered(&mut self, id: RequestId) {
        let now = Instant::now();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let name = layout::message(id);
        let read =
            self.dir.folder(layout::ANSWERS).and_then(|f| self.dir.read(f, &name, limits::ANSWER_BYTES));
        let answer = match read {
            Ok(None) => return,
            Ok(Some(bytes)) => Answer::parse(&bytes, id).map_err(|error| (error.reason(), error.to_string())),
            Err(error) => Err(("file", error.to_string())),
        };
        let checked = answer.and_then(|answer| allowed(&self.config.policy, answer));
        let outcome = match checked {
            Ok(outcome) => outcome,
            Err((reason, error)) => return self.refuse(&name, reason, &error),
        };
        self.metrics.accepted.inc();
        if let Some(since) = job.awaited {
            self.metrics.answer_seconds.observe(now.duration_since(since).as_secs_f64());
        }
        match outcome {
            Outcome::Devices(devices) => {
                tracing::debug!(job = %id, devices = devices.len(), "handler answered");
                let own = self.hello.as_ref().map_or(0, |hello| hello.removal_grace_ms);
                let grace = self.config.removal_grace.unwrap_or(Duration::from_millis(own));
                job.listed(devices, grace, now);
            }
            Outcome::Failed(failure) => {
                tracing::warn!(job = %id, %failure, kind = ?failure.kind, "handler has no list; the last one stands");
                job.failed(failure);
            }
        }
        if self.condition == Condition::Hung {
            self.check_handler(now);
        }
        self.report_jobs();
    }

    fn refuse(&mut self, file: &str, reason: &'static str, error: &str) {
        self.metrics.refuse(reason);
        if let Some(kept_quiet) = self.refusals.say(Instant::now()) {
            tracing::warn!(
                file,
                reason,
                error,
                kept_quiet,
                "refused what the handler wrote; the last good answer stands"
            );
        }
    }

    // ---- what happens in the directory ----

    fn changed(&mut self, events: &[Event]) {
        let mut answers = BTreeSet::new();
        let (mut inputs, mut hello, mut damaged) = (false, false, false);
        for event in events {
            if event.overflow {
                damaged = true;
                continue;
            }
            if event.ended {
                // Of another proxy it only means that it left; of our own folders, that somebody removed them.
                let place = event.watch.and_then(|watch| self.watches.remove(&watch));
                damaged |= !matches!(place, None | Some(Place::Peer(_) | Place::PeerFolder));
                continue;
            }
            let name = event.name.as_deref().and_then(|name| name.to_str()).unwrap_or_default();
            match event.watch.and_then(|watch| self.watches.get(&watch)) {
                Some(Place::Answers) => answers.extend(layout::request_id(name)),
                Some(Place::Inputs) => inputs |= !name.starts_with(layout::TEMPORARY_PREFIX),
                Some(Place::Root) if name == layout::HELLO => hello = true,
                Some(Place::Root) => {
                    let ours = [layout::WAKE, layout::REQUESTS, layout::ANSWERS, layout::INPUTS];
                    damaged |= name.is_empty() || ours.contains(&name);
                }
                Some(Place::Requests) => self.meet_peers(),
                Some(Place::Peer(index)) => self.orphans.notice(*index, Instant::now()),
                Some(Place::PeerFolder) => self.meet_peers(),
                None => {}
            }
        }
        if damaged {
            self.mend();
        }
        if hello {
            self.meet_handler();
        }
        answers.into_iter().for_each(|id| self.answered(id));
        if inputs {
            tracing::debug!("an input changed");
            self.ring(Wake::Everything);
        }
    }

    fn watch(&mut self) -> io::Result<()> {
        let path = self.dir.path().to_owned();
        let renamed = WatchFlags::MOVED_TO;
        let gone = WatchFlags::DELETE | WatchFlags::MOVED_FROM;
        let written = renamed | gone | WatchFlags::CLOSE_WRITE;
        for (name, place, flags) in [
            ("", Place::Root, renamed | gone),
            (layout::ANSWERS, Place::Answers, renamed),
            (layout::INPUTS, Place::Inputs, written),
            (layout::REQUESTS, Place::Requests, WatchFlags::CREATE),
        ] {
            let watch = self.inotify.add(&path.join(name), flags)?;
            self.watches.insert(watch, place);
        }
        self.meet_peers();
        Ok(())
    }

    /// Watches the locks of the other proxies.
    fn meet_peers(&mut self) {
        for index in folder::others(&self.dir, Some(self.own.index)) {
            let folder = self.dir.path().join(layout::REQUESTS).join(layout::proxy_folder(index));
            // A proxy makes its folder, then its lock; between the two its lock is not there yet.
            let watched = match self.inotify.add_file(&folder.join(layout::LOCK), WatchFlags::CLOSE_WRITE) {
                Ok(watch) => Some((watch, Place::Peer(index))),
                Err(_) => {
                    self.inotify.add(&folder, WatchFlags::CREATE).ok().map(|watch| (watch, Place::PeerFolder))
                }
            };
            self.watches.extend(watched);
        }
    }

    /// Something is not as it should be: puts everything back that is ours, and looks at everything again.
    fn mend(&mut self) {
        self.mend_at = None;
        if let Err(error) = self.put_back() {
            tracing::error!(%error, "cannot mend the exchange directory, trying again");
            self.mend_at = Some(Instant::now() + MEND_AGAIN);
            return;
        }
        if !self.bell.as_ref().is_some_and(|bell| bell.is_current(&self.dir)) {
            // A handler that waits at a FIFO which is gone hears this last ring and comes to the new one.
            if let Some(bell) = self.bell.take() {
                bell.ring(Wake::Everything);
                self.set_condition(Condition::Gone);
            }
            self.meet_handler();
        }
        let ids: Vec<RequestId> = self.jobs.keys().copied().collect();
        ids.into_iter().for_each(|id| self.answered(id));
        self.ring(Wake::Everything);
    }

    fn put_back(&mut self) -> io::Result<()> {
        self.dir.ensure_layout()?;
        if !self.own.is_current(&self.dir) {
            tracing::warn!("the requests of this proxy were taken away, putting them back");
            self.own = OwnFolder::take(&self.dir)?;
            self.inherit(Instant::now())?;
            let index = self.own.index;
            self.shared.update(|state| state.proxy = index);
        }
        let there = self.own.requests(&self.dir)?;
        for (id, job) in &self.jobs {
            if !there.contains(id) {
                self.own.put(&self.dir, *id, &job.request)?;
            }
        }
        self.watch()
    }

    // ---- time ----

    fn due(&self) -> Option<Instant> {
        let removals = self.jobs.values().filter_map(Job::due).min();
        let inherited = self.inherited_until.filter(|_| !self.inherited.is_empty());
        [removals, inherited, self.orphans.due(), self.check_at, self.mend_at].into_iter().flatten().min()
    }

    fn on_time(&mut self, now: Instant) {
        let mut told = false;
        for job in self.jobs.values_mut() {
            told |= job.expire(now);
        }
        if told {
            self.report_jobs();
        }
        if self.inherited_until.is_some_and(|until| until <= now) {
            self.inherited_until = None;
            for id in std::mem::take(&mut self.inherited) {
                tracing::info!(job = %id, "nobody asks for this any more");
                self.take_down(id);
            }
            self.ring(Wake::Requests);
        }
        if self.orphans.due().is_some_and(|due| due <= now) && self.orphans.reap(&self.dir, now) {
            self.ring(Wake::Requests);
        }
        if self.check_at.is_some_and(|check| check <= now) {
            self.check_handler(now);
        }
        if self.mend_at.is_some_and(|mend| mend <= now) {
            self.mend();
        }
    }

    // ---- the end, and what is told ----

    /// Takes our requests down, and asks the handler to stop where no other proxy needs it.
    fn leave(self) {
        let Self { dir, own, bell, .. } = self;
        let index = own.index;
        own.leave(&dir);
        // Looked at after our own lock is gone: of two proxies that leave at once at least one sees no other.
        let last = !folder::others(&dir, Some(index)).iter().any(|other| folder::lives(&dir, *other));
        if last && let Err(error) = dir.write(dir.root(), layout::STOP, b"") {
            tracing::warn!(%error, "cannot ask the handler to stop");
        }
        if let Some(bell) = bell {
            bell.ring(Wake::Requests);
        }
        tracing::info!(last, "left the exchange");
    }

    fn report_jobs(&self) {
        let jobs = self.jobs.iter().map(|(id, job)| JobState {
            id: id.to_string(),
            streams: job.users,
            devices: job.devices(),
            error: job.failure.as_ref().map(ToString::to_string),
        });
        let jobs = jobs.collect();
        self.shared.update(|state| state.jobs = jobs);
    }
}

/// Checks what an answer hands out, and that the agent can take it.
fn allowed(policy: &Policy, answer: Answer) -> Result<Outcome, (&'static str, String)> {
    if let Outcome::Devices(devices) = &answer.outcome {
        for device in devices {
            policy.check(device).map_err(|forbidden| ("policy", forbidden.to_string()))?;
        }
        let bytes: usize = devices
            .iter()
            .map(|device| {
                let length = pb::Device::from(device).encoded_len();
                length + prost::length_delimiter_len(length) + 1
            })
            .sum();
        if bytes > MAX_LIST_BYTES {
            let error =
                format!("{} devices make {bytes} bytes, the agent takes {MAX_LIST_BYTES}", devices.len());
            return Err(("too_large", error));
        }
    }
    Ok(answer.outcome)
}

/// A request for the exchange, from what the agent sent.
pub(crate) fn request(details: String, properties: akri_exchange::Properties) -> Request {
    let (details_json, details_error) = match crate::details::to_json(&details) {
        Ok(json) => (Some(json), None),
        Err(error) => (None, Some(error)),
    };
    Request { details_text: details, details_json, details_error, properties }
}
