//! One campaign: bursts of faults, each burst undone and recovered from, until enough was survived.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use akri_proxy::akri::REGISTRATION_SOCKET;
use anyhow::Context;
use rustix::process::Signal;
use tokio::time::timeout;

use super::cast::{Actor, AgentActor, Programs};
use super::configurations;
use super::contract::{Contract, Expected};
use super::dice::Dice;
use super::fault::Fault;
use super::leaks::Inventory;
use super::place::Place;
use crate::say::{Say, bytes, ms};

/// The most faults of one burst.
const BURST: usize = 5;
/// The longest pause between two steps.
const PAUSE: Duration = Duration::from_millis(40);
/// What recovery should take at most; longer is told.
const GOAL: Duration = Duration::from_secs(1);
/// What recovery may take: longer is a break.
const LIMIT: Duration = Duration::from_secs(15);
/// How long what is on its way may take to be cleared away.
const SETTLE: Duration = Duration::from_secs(5);
/// Leaks are looked for after so many bursts.
const INVENTORY_EVERY: usize = 5;
/// After so many breaks there is nothing more to learn.
const ENOUGH: usize = 20;
/// What WasmEdge 0.14.1 may die of some time after SIGSTOP and SIGCONT: a wait that a signal cut short leaves its timer
/// behind, and a later wait does not know it. No module can help that; the kubelet starts it again.
const ENGINE_ASSERTION: &str = "Poller::wait(): Assertion";
/// While the exchange is gone a process that starts may say so and end.
const GONE: Duration = Duration::from_millis(300);

/// What a campaign is told.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) events: usize,
    pub(super) proxies: usize,
    pub(super) verbose: bool,
    pub(super) programs: Programs,
}

/// A campaign.
pub(super) struct Campaign {
    settings: Settings,
    dice: Dice,
    say: Say,
    place: Place,
    details: Vec<String>,
    ports: Vec<u16>,
    handler: Option<Actor>,
    proxies: Vec<Option<Actor>>,
    agent: Option<AgentActor>,
    contract: Contract,
    active: Vec<Fault>,
    gone_until: Option<Instant>,
    /// When the handler was last let go after a stop.
    let_go: Option<Instant>,
    /// How often the engine died of that.
    engine_deaths: usize,
    /// Whether the exchange was emptied in this burst.
    robbed: bool,
    history: Vec<String>,
    counts: BTreeMap<&'static str, usize>,
    backs: Vec<(Duration, Vec<Fault>)>,
    broken: usize,
    most_memory: (u64, u64),
}

impl Campaign {
    /// Starts all processes, and waits until all is well.
    pub(super) async fn start(settings: Settings, dice: Dice, say: Say) -> anyhow::Result<Self> {
        let place = Place::new()?;
        let ports = (0..settings.proxies).map(|_| {
            // Free now, and again whenever that proxy is restarted.
            Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
        });
        let ports = ports.collect::<anyhow::Result<Vec<u16>>>()?;
        let mut campaign = Self {
            contract: Contract::new(configurations::devices(), settings.proxies > 1),
            handler: None,
            proxies: (0..settings.proxies).map(|_| None).collect(),
            agent: None,
            active: Vec::new(),
            gone_until: None,
            let_go: None,
            engine_deaths: 0,
            robbed: false,
            history: Vec::new(),
            counts: BTreeMap::new(),
            backs: Vec::new(),
            broken: 0,
            most_memory: (0, 0),
            settings,
            dice,
            say,
            place,
            details: configurations::details(),
            ports,
        };
        campaign.say.step(format_args!(
            "{} faults with {}",
            campaign.settings.events,
            if campaign.settings.proxies == 1 {
                "one proxy".to_owned()
            } else {
                format!("{} proxies", campaign.settings.proxies)
            },
        ));
        if !campaign.place.own_file_system {
            campaign.say.detail("no file system of its own could be mounted: the exchange will not be full");
        }
        campaign.start_all()?;
        campaign.recover(Instant::now(), &[]).await?;
        campaign.backs.clear();
        Ok(campaign)
    }

    /// Runs it to its end; how many things broke.
    pub(super) async fn run(mut self) -> anyhow::Result<usize> {
        let expected = self.inventory().await?;
        let (mut events, mut bursts) = (0, 0);
        while events < self.settings.events && self.broken < ENOUGH {
            let faults = self.burst().await?;
            events += faults.len();
            bursts += 1;
            self.recover(Instant::now(), &faults).await?;
            if bursts % INVENTORY_EVERY == 0 || events >= self.settings.events {
                self.look_for_leaks(&expected).await?;
            }
            if bursts % 50 == 0 {
                self.say.detail(format_args!("{events} faults, {} broken", self.broken));
            }
        }
        self.report(events, bursts);
        Ok(self.broken)
    }

    /// Some faults, overlapping where they can, all over at the end. Those that happened.
    async fn burst(&mut self) -> anyhow::Result<Vec<Fault>> {
        let mut happened = Vec::new();
        self.robbed = false;
        for _ in 0..=self.dice.below(BURST) {
            if let Some(fault) = self.draw() {
                self.tell(format!("begin {fault:?}"));
                self.begin(fault).await?;
                self.active.push(fault);
                *self.counts.entry(fault.name()).or_default() += 1;
                happened.push(fault);
            }
            let pause = self.dice.within(PAUSE);
            self.watch(pause).await;
            if !self.active.is_empty() && self.dice.below(3) == 0 {
                self.end_one().await?;
            }
        }
        while !self.active.is_empty() {
            self.end_one().await?;
            let pause = self.dice.within(PAUSE / 2);
            self.watch(pause).await;
        }
        Ok(happened)
    }

    fn draw(&mut self) -> Option<Fault> {
        let all = Fault::all(self.settings.proxies, self.place.own_file_system);
        let fault = *self.dice.pick(&all);
        let free = self.active.iter().all(|active| active.victim().goes_with(fault.victim()));
        // With several proxies a fault may cost one of them its streams only where another one has the agent's.
        let covered = match fault {
            // A FIFO that is removed while no proxy has it open cannot be rung any more: the handler finds the new one only
            // when it looks by itself (docs/security.md names this limit), which is later than is waited for here.
            Fault::KillProxy(_) if self.robbed => false,
            Fault::Emptied | Fault::Replaced => self.proxies.iter().all(|proxy| {
                let pid = proxy.as_ref().map_or(0, Actor::pid);
                pid != 0 && self.contract.tells(pid, true)
            }),
            Fault::KillProxy(number) if self.settings.proxies > 1 => {
                (0..self.settings.proxies).any(|other| {
                    let pid = self.proxies[other].as_ref().map_or(0, Actor::pid);
                    other != number && pid != 0 && self.contract.tells(pid, true)
                })
            }
            // A process that gets no descriptor at its very start has nothing to run on.
            Fault::NoDescriptors(number) => {
                self.proxies[number].as_ref().is_some_and(|proxy| self.contract.tells(proxy.pid(), true))
            }
            _ => true,
        };
        (free && covered).then_some(fault)
    }

    async fn begin(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::KillHandler => {
                if let Some(mut handler) = self.handler.take() {
                    handler.kill().await?;
                }
            }
            Fault::KillProxy(number) => {
                if let Some(mut proxy) = self.proxies[number].take() {
                    self.contract.killed(proxy.pid());
                    proxy.kill().await?;
                }
            }
            Fault::KillAgent => {
                if let Some(mut agent) = self.agent.take() {
                    agent.actor.kill().await?;
                    self.contract.agent_lost();
                }
            }
            Fault::StopHandler => self.signal_handler(Signal::STOP)?,
            Fault::StopProxy(number) => self.signal_proxy(number, Signal::STOP)?,
            Fault::StopAgent => self.signal_agent(Signal::STOP)?,
            Fault::RemoveSocket => {
                // It may never have come to make one.
                let _ = std::fs::remove_file(self.place.akri().join(REGISTRATION_SOCKET));
            }
            Fault::NoRoom => self.place.fill()?,
            Fault::NoInodes => self.place.fill_inodes()?,
            Fault::ReadOnly => self.place.make_read_only(),
            Fault::Emptied => {
                self.robbed = true;
                self.place.empty()?;
            }
            Fault::Replaced => {
                self.robbed = true;
                let after = self.dice.within(PAUSE / 2);
                self.place.replace(after).await?;
                self.gone_until = Some(Instant::now());
            }
            Fault::Overflow => {
                (0..self.settings.proxies).try_for_each(|number| self.signal_proxy(number, Signal::STOP))?;
                self.place.flood()?;
            }
            Fault::NoDescriptors(number) => {
                if let Some(proxy) = &self.proxies[number] {
                    self.contract.disturbed(proxy.pid());
                    proxy.limit_descriptors(Some(proxy.descriptors()? as u64))?;
                }
            }
        }
        Ok(())
    }

    async fn end_one(&mut self) -> anyhow::Result<()> {
        let index = self.dice.below(self.active.len());
        let fault = self.active.swap_remove(index);
        self.tell(format!("end {fault:?}"));
        match fault {
            Fault::KillHandler => {
                self.handler = Some(Actor::handler(&self.settings.programs, &self.place, &[])?)
            }
            Fault::KillProxy(number) => self.start_proxy(number)?,
            Fault::KillAgent => self.agent = Some(AgentActor::start(&self.place, &self.details)?),
            Fault::StopHandler => {
                self.signal_handler(Signal::CONT)?;
                self.let_go = Some(Instant::now());
            }
            Fault::StopProxy(number) => self.signal_proxy(number, Signal::CONT)?,
            Fault::StopAgent => self.signal_agent(Signal::CONT)?,
            Fault::RemoveSocket => {
                if let Some(agent) = &mut self.agent {
                    agent.rebind().await?;
                }
            }
            Fault::NoRoom | Fault::NoInodes => self.place.free()?,
            Fault::ReadOnly => self.place.make_writable(),
            Fault::Emptied | Fault::Replaced => {}
            Fault::Overflow => {
                (0..self.settings.proxies).try_for_each(|number| self.signal_proxy(number, Signal::CONT))?;
            }
            Fault::NoDescriptors(number) => {
                if let Some(proxy) = &self.proxies[number] {
                    proxy.limit_descriptors(None)?;
                    self.contract.disturbed(proxy.pid());
                }
            }
        }
        Ok(())
    }

    fn signal_handler(&self, signal: Signal) -> anyhow::Result<()> {
        self.handler.as_ref().map_or(Ok(()), |handler| handler.signal(signal))
    }

    fn signal_proxy(&mut self, number: usize, signal: Signal) -> anyhow::Result<()> {
        let Some(proxy) = &self.proxies[number] else { return Ok(()) };
        self.contract.disturbed(proxy.pid());
        proxy.signal(signal)
    }

    fn signal_agent(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.contract.agent_disturbed();
        self.agent.as_ref().map_or(Ok(()), |agent| agent.actor.signal(signal))
    }

    fn start_proxy(&mut self, number: usize) -> anyhow::Result<()> {
        let (programs, port) = (&self.settings.programs, self.ports[number]);
        self.proxies[number] = Some(Actor::proxy(programs, &self.place, number, port)?);
        Ok(())
    }

    fn start_all(&mut self) -> anyhow::Result<()> {
        self.agent = Some(AgentActor::start(&self.place, &self.details)?);
        self.handler = Some(Actor::handler(&self.settings.programs, &self.place, &[])?);
        (0..self.settings.proxies).try_for_each(|number| self.start_proxy(number))
    }

    /// Holds what the agent says against the contract for a while, and sees who ends by itself.
    async fn watch(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Some(agent) = &mut self.agent else {
                tokio::time::sleep(left).await;
                break;
            };
            match timeout(left, agent.said.recv()).await {
                Ok(Some(said)) => self.contract.take(said),
                Ok(None) => {
                    tokio::time::sleep(left).await;
                    break;
                }
                Err(_) => break,
            }
        }
        self.see_ends();
        for what in self.contract.breaks() {
            self.broken(what);
        }
    }

    /// Who ends by itself has broken the promise; it is started again, as the kubelet would.
    fn see_ends(&mut self) {
        let mut ended = Vec::new();
        if let Some(handler) = &mut self.handler
            && self.let_go.is_some_and(|at| at > handler.started)
            && matches!(handler.ended(), Ok(Some(_)))
            && handler.tail().lines().last().is_some_and(|line| line.contains(ENGINE_ASSERTION))
        {
            self.engine_deaths += 1;
            self.tell("the engine died of its having been stopped".to_owned());
            self.handler = Actor::handler(&self.settings.programs, &self.place, &[]).ok();
        }
        let agent = self.agent.iter_mut().map(|agent| &mut agent.actor);
        for actor in self.handler.iter_mut().chain(self.proxies.iter_mut().flatten()).chain(agent) {
            if let Ok(Some(how)) = actor.ended() {
                let excused = self
                    .gone_until
                    .is_some_and(|until| actor.started < until && until < actor.started + GONE);
                ended.push((format!("{} ended by itself: {how}\n{}", actor.name, actor.tail()), excused));
            }
        }
        for (what, excused) in ended {
            if !excused {
                self.broken(what);
            }
        }
        let programs = &self.settings.programs;
        if self.handler.as_mut().is_some_and(|handler| !matches!(handler.ended(), Ok(None))) {
            self.handler = Actor::handler(programs, &self.place, &[]).ok();
        }
        if self.agent.as_mut().is_some_and(|agent| !matches!(agent.actor.ended(), Ok(None))) {
            self.contract.agent_lost();
            self.agent = AgentActor::start(&self.place, &self.details).ok();
        }
        for number in 0..self.settings.proxies {
            if self.proxies[number].as_mut().is_some_and(|proxy| !matches!(proxy.ended(), Ok(None))) {
                let _ = self.start_proxy(number);
            }
        }
    }

    /// Waits until a change of the devices reaches the agent by every stream, and until they are all back.
    async fn recover(&mut self, since: Instant, after: &[Fault]) -> anyhow::Result<()> {
        self.contract.expected = Expected::Either;
        let gone = self.all_tell(false, since).await;
        let back = since.elapsed();
        let again = gone && self.all_tell(true, Instant::now()).await;
        self.contract.expected = Expected::Full;
        if again {
            if back > GOAL {
                self.tell(format!("back after {} only", ms(back)));
            }
            self.backs.push((back, after.to_vec()));
            return Ok(());
        }
        let mut logs = format!("not back after {} s: {}", LIMIT.as_secs(), self.contract.show());
        let agent = self.agent.iter().map(|agent| &agent.actor);
        for actor in self.handler.iter().chain(self.proxies.iter().flatten()).chain(agent) {
            logs += &format!("\n--- {} ({})\n{}", actor.name, actor.pid(), actor.tail());
        }
        self.broken(logs);
        // So that one cause is not told over and over.
        self.start_over().await
    }

    /// Sets the devices, and waits until every proxy has told the agent so.
    async fn all_tell(&mut self, there: bool, since: Instant) -> bool {
        let mut set = false;
        while since.elapsed() < LIMIT {
            set = set || self.place.set_devices(there);
            let pids: Vec<i32> =
                self.proxies.iter().map(|proxy| proxy.as_ref().map_or(0, Actor::pid)).collect();
            if set && pids.iter().all(|&pid| self.contract.tells(pid, there)) {
                return true;
            }
            self.watch(Duration::from_millis(1)).await;
            // Somebody may have emptied the directory just as it was written.
            set = set && self.place.exchange().join("inputs/availability").exists();
        }
        false
    }

    async fn start_over(&mut self) -> anyhow::Result<()> {
        self.tell("start over".to_owned());
        for proxy in self.proxies.iter_mut().flatten() {
            self.contract.killed(proxy.pid());
            proxy.kill().await?;
        }
        if let Some(mut handler) = self.handler.take() {
            handler.kill().await?;
        }
        if let Some(mut agent) = self.agent.take() {
            agent.actor.kill().await?;
        }
        self.contract.agent_lost();
        self.place.empty()?;
        self.start_all()?;
        self.contract.expected = Expected::Either;
        let began = Instant::now();
        let well = self.all_tell(false, began).await && self.all_tell(true, Instant::now()).await;
        self.contract.expected = Expected::Full;
        anyhow::ensure!(well, "not even a fresh start works: {}", self.contract.show());
        Ok(())
    }

    async fn inventory(&mut self) -> anyhow::Result<Inventory> {
        let handler = self.handler.as_ref().context("no handler")?;
        let proxies: Vec<(&Actor, u16)> = self
            .proxies
            .iter()
            .zip(&self.ports)
            .filter_map(|(proxy, port)| Some((proxy.as_ref()?, *port)))
            .collect();
        let memory = proxies.iter().map(|(proxy, _)| proxy.rss()).max().unwrap_or_default();
        self.most_memory = (self.most_memory.0.max(handler.rss()), self.most_memory.1.max(memory));
        Inventory::take(&self.place, handler, &proxies).await
    }

    async fn look_for_leaks(&mut self, expected: &Inventory) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let differences = self.inventory().await?.against(expected);
            if differences.is_empty() {
                return Ok(());
            }
            if began.elapsed() > SETTLE {
                self.broken(format!("leaked: {}", differences.join("; ")));
                return self.start_over().await;
            }
            self.watch(Duration::from_millis(20)).await;
        }
    }

    fn tell(&mut self, what: String) {
        if self.settings.verbose {
            self.say.detail(&what);
        }
        self.history.push(format!("{:.3} {what}", self.say.elapsed().as_secs_f64()));
    }

    fn broken(&mut self, what: String) {
        /// What happened shortly before is most often the cause.
        const BEFORE: usize = 14;
        self.broken += 1;
        let before = self.history[self.history.len().saturating_sub(BEFORE)..].join("\n            ");
        self.say.step(format_args!("BROKEN: {what}"));
        self.say.detail(format_args!("before that:\n            {before}"));
    }

    fn report(&mut self, events: usize, bursts: usize) {
        let rows: Vec<[String; 2]> =
            self.counts.iter().map(|(name, count)| [(*name).to_owned(), count.to_string()]).collect();
        self.say.table(["FAULT", "TIMES"], &rows);
        self.backs.sort_by_key(|(back, _)| *back);
        let at = |share: usize| ms(self.backs[(self.backs.len() - 1) * share / 100].0);
        if let Some((longest, after)) = self.backs.last() {
            let late = self.backs.iter().filter(|(back, _)| *back > GOAL).count();
            self.say.detail(format_args!(
                "back after the last fault of a burst: median {}, 95 % {}, longest {} (after {after:?}); {late} of {bursts} \
                 later than {}",
                at(50),
                at(95),
                ms(*longest),
                ms(GOAL),
            ));
        }
        self.say.detail(format_args!(
            "{} lists held against the contract; headers of who ran undisturbed took {} at most",
            self.contract.lists,
            ms(self.contract.longest_headers),
        ));
        if self.engine_deaths > 0 {
            self.say.detail(format_args!(
                "{} times the engine died by itself after SIGCONT (docs/security.md, \"Limits\"), and was started again",
                self.engine_deaths,
            ));
        }
        let (handler, proxy) = self.most_memory;
        self.say.detail(format_args!("most memory: handler {}, proxy {}", bytes(handler), bytes(proxy)));
        self.say.step(format_args!("{events} faults in {bursts} bursts, {} things broke", self.broken));
    }
}
