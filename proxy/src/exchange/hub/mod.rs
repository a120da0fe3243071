//! The task that owns the exchange: jobs, the handler's state, this proxy's requests. All that happens to them happens
//! here, one thing after the other; streams only see a job's view.
//!
//! `requests` begins and ends jobs, `handler` knows whether it lives, `answers` judges what it wrote, `upkeep` hears of
//! changes in the directory and puts back what is missing, `wakes` of changes elsewhere that concern the handler, `handle` is
//! the way in.

mod answers;
mod handle;
mod handler;
mod requests;
mod upkeep;
mod wakes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use akri_exchange::{HandlerName, Hello, RequestId, Wake, layout};
use tokio::sync::mpsc;

use super::folder::{self, Orphans, OwnFolder};
use super::job::Job;
use super::refusals::Refusals;
use super::{Bell, ExchangeDir};
use crate::clock;
use crate::inotify::{Inotify, Watch};
use crate::list::ALL_BYTES;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::room::Room;
use crate::state::{Condition, JobState, Shared};

use handle::{COMMANDS, Command};
pub(crate) use handle::{HubHandle, Subscription};
pub(crate) use requests::request;
use wakes::Wakes;

/// How long after a failure the exchange is mended again; doubles up to [`LONGEST_MEND`]. Only while something is wrong.
const FIRST_MEND: Duration = Duration::from_millis(20);
/// The longest such wait: nothing tells us that there is room again, and devices should be back within a second.
const LONGEST_MEND: Duration = Duration::from_millis(500);

/// What the hub is told.
#[derive(Clone, Debug)]
pub(crate) struct HubConfig {
    pub(crate) exchange: PathBuf,
    pub(crate) policy: Policy,
    /// Overrides the handler's own grace time.
    pub(crate) removal_grace: Option<Duration>,
    /// Directories whose changes wake the handler.
    pub(crate) wake_on: Vec<PathBuf>,
    /// How long a handler may owe an answer before it counts as hung.
    pub(crate) answer_deadline: Duration,
    /// The configured name; `None` for whatever the handler announces.
    pub(crate) name: Option<HandlerName>,
}

/// The hub itself; [`Hub::run`] is its life.
pub(crate) struct Hub {
    config: HubConfig,
    dir: ExchangeDir,
    inotify: Inotify,
    watches: HashMap<Watch, Place>,
    wakes: Wakes,
    own: OwnFolder,
    orphans: Orphans,
    /// Requests that a dead predecessor left in our folder, until somebody asks for them or their time is up.
    inherited: BTreeSet<RequestId>,
    inherited_until: Option<Instant>,
    jobs: BTreeMap<RequestId, Job>,
    room: Room,
    /// Jobs whose answer found no room: it is looked at again as soon as another list is let go of.
    cramped: BTreeSet<RequestId>,
    bell: Option<Bell>,
    hello: Option<Hello>,
    /// Whether the handler has to look at everything once it is there: something changed that nobody could tell it.
    owed: bool,
    condition: Condition,
    /// When to see whether the handler has done what it was woken for; `None` while it owes nothing.
    check_at: Option<Instant>,
    mend_at: Option<Instant>,
    mend_pause: Duration,
    /// Whether what the handler says of itself could not be read, for reasons of our own.
    unmet: bool,
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
    /// This proxy's folder in it, while it has that number.
    Own(u32),
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
        let wakes = Wakes::new(&config.wake_on)?;
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
            wakes,
            own,
            orphans: Orphans::default(),
            inherited: BTreeSet::new(),
            inherited_until: None,
            jobs: BTreeMap::new(),
            room: Room::new(ALL_BYTES),
            cramped: BTreeSet::new(),
            bell: None,
            hello: None,
            // An input may have changed while no proxy lived to see it.
            owed: true,
            condition: Condition::Absent,
            check_at: None,
            mend_at: None,
            mend_pause: FIRST_MEND,
            unmet: false,
            refusals: Refusals::new(now),
            shared,
            metrics,
            commands,
            releases,
            released,
        };
        // A `stop` that is there was meant for the time before us.
        hub.dir.displace(hub.dir.root(), layout::STOP)?;
        if !folder::others(&hub.dir, Some(hub.own.index))?.iter().any(|other| folder::lives(&hub.dir, *other))
        {
            hub.dir.sweep(hub.dir.root(), &[layout::WAKE, layout::STOP])?;
        }
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
                changes = self.wakes.events() => match changes {
                    Ok(events) => self.wakes.changed(&events, Instant::now()),
                    Err(error) => {
                        tracing::error!(%error, "cannot read inotify events, waking the handler");
                        self.ring(Wake::Everything);
                    }
                },
                () = self.room.freed(), if !self.cramped.is_empty() => self.look_again(),
                () = gone => self.lost_handler(),
                () = clock::at(due) => self.on_time(Instant::now()),
            }
        }
        self.leave();
    }

    fn due(&self) -> Option<Instant> {
        let removals = self.jobs.values().filter_map(Job::due).min();
        let inherited = self.inherited_until.filter(|_| !self.inherited.is_empty());
        [removals, inherited, self.orphans.due(), self.check_at, self.mend_at, self.wakes.due()]
            .into_iter()
            .flatten()
            .min()
    }

    fn on_time(&mut self, now: Instant) {
        if self.wakes.on_time(now) {
            self.ring(Wake::Everything);
        }
        let mut told = false;
        for job in self.jobs.values_mut() {
            told |= job.expire(now, &self.room);
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

    /// Takes our requests down, and asks the handler to stop where no other proxy needs it.
    fn leave(self) {
        let Self { dir, own, bell, .. } = self;
        let index = own.index;
        own.leave(&dir);
        // Looked at after our own lock is gone: of two proxies that leave at once at least one sees no other.
        // Where that cannot be seen there is one: a handler that stays too long costs less than one that leaves too soon.
        let last = folder::others(&dir, Some(index))
            .is_ok_and(|others| !others.iter().any(|other| folder::lives(&dir, *other)));
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
            error: job.failure.clone(),
        });
        let jobs = jobs.collect();
        self.shared.update(|state| state.jobs = jobs);
    }
}
