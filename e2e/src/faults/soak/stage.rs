//! Who takes part in the soak, and how an event is done: each ends only when the agent, or the handler, is seen to be done with it.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use akri_exchange::{Wake, layout};
use anyhow::{Context, bail, ensure};
use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::time::timeout;

use super::day::Event;
use super::looks::Looks;
use super::sample::Sample;
use crate::faults::cast::{Actor, AgentActor, Programs};
use crate::faults::configurations;
use crate::faults::contract::{Contract, Expected};
use crate::faults::place::Place;
use crate::say::{Say, ms};

/// The longest that an event may take.
const LIMIT: Duration = Duration::from_secs(15);
/// How long what is on its way may take to be cleared away.
const SETTLE: Duration = Duration::from_secs(5);
/// The handler's own re-scans, in seconds: so its timer, too, is set at each wait, and sometimes runs out.
const RESCAN_SECONDS: &str = "1";

/// The processes, and what was seen of them.
pub(super) struct Stage {
    place: Place,
    port: u16,
    handler: Actor,
    proxy: Actor,
    agent: AgentActor,
    contract: Contract,
    looks: Looks,
    /// Whether the devices are there at the moment.
    there: bool,
    reconnects: usize,
    slowest: [(Duration, Event); 3],
}

impl Stage {
    /// Starts all processes, and waits until all is well.
    pub(super) async fn start(programs: Programs) -> anyhow::Result<Self> {
        let place = Place::new()?;
        // Free now; nothing else asks for one on this machine's loopback while a process starts, or its start fails.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let proxy = Actor::proxy(&programs, &place, 0, port)?;
        let agent = AgentActor::start(&place, &configurations::details())?;
        let handler = Actor::handler(&programs, &place, &[("RESCAN_INTERVAL_SECONDS", RESCAN_SECONDS)])?;
        let contract = Contract::new(configurations::devices(), false);
        let began = Instant::now();
        // The proxy makes the folder.
        while !place.set_devices(true) {
            ensure!(began.elapsed() < LIMIT, "the proxy does not start:\n{}", proxy.tail());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let looks = Looks::at(&place.exchange().join(layout::INPUTS))?;
        let slowest = [Event::Rescan, Event::Update, Event::Reconnect].map(|event| (Duration::ZERO, event));
        let mut stage =
            Self { place, port, handler, proxy, agent, contract, looks, there: true, reconnects: 0, slowest };
        stage.told().await?;
        Ok(stage)
    }

    /// Does it, and waits for its end.
    pub(super) async fn happens(&mut self, event: Event) -> anyhow::Result<()> {
        let began = Instant::now();
        match event {
            Event::Rescan => self.rescan()?,
            Event::Update => self.update().await?,
            Event::Reconnect => self.reconnect().await?,
        }
        if let Some((slowest, _)) = self.slowest.iter_mut().find(|(_, of)| *of == event) {
            *slowest = began.elapsed().max(*slowest);
        }
        // A message that came meanwhile.
        while let Ok(said) = self.agent.said.try_recv() {
            self.contract.take(said);
        }
        self.kept()
    }

    /// Counts everything, once what is on its way is over; `first` is what there may be.
    pub(super) async fn sample(&mut self, first: Option<&Sample>) -> anyhow::Result<Sample> {
        let began = Instant::now();
        loop {
            let sample = Sample::take(&self.place, &self.handler, &self.proxy, self.port).await?;
            // What stays is the verdict's.
            let settled =
                first.map_or_else(|| began.elapsed() > SETTLE / 10, |first| sample.has_no_more_than(first));
            if settled || began.elapsed() > SETTLE {
                return Ok(sample);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What is worth knowing besides.
    pub(super) fn report(&mut self, say: &Say) {
        let each = configurations::details().len() as u64;
        say.detail(format_args!(
            "{} lists held against the contract; the handler looked {} times at each Configuration",
            self.contract.lists,
            self.looks.seen().unwrap_or_default() / each,
        ));
        let slowest = self.slowest.map(|(time, event)| format!("{event:?} {}", ms(time)));
        say.detail(format_args!("the slowest: {}", slowest.join(", ")));
    }

    fn rescan(&mut self) -> anyhow::Result<()> {
        let each = configurations::details().len() as u64;
        let before = self.looks.seen()?;
        // As the proxy rings when something changes that it is told to watch; whoever writes the byte, it is the handler's.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let bell = openat(CWD, self.place.exchange().join(layout::WAKE), flags, Mode::empty())
            .context("nobody reads the FIFO")?;
        rustix::io::write(&bell, &[Wake::Everything.byte()])?;
        ensure!(
            self.looks.reach(before + each, LIMIT)?,
            "the handler does not look:\n{}",
            self.handler.tail()
        );
        Ok(())
    }

    async fn update(&mut self) -> anyhow::Result<()> {
        self.contract.expected = Expected::Either;
        self.there = !self.there;
        ensure!(self.place.set_devices(self.there), "the input cannot be written");
        self.told().await?;
        if self.there {
            self.contract.expected = Expected::Full;
        }
        Ok(())
    }

    async fn reconnect(&mut self) -> anyhow::Result<()> {
        self.agent.actor.kill().await?;
        self.contract.agent_lost();
        self.reconnects += 1;
        let mut details = configurations::details();
        // A comment makes it a request that nobody has made yet.
        if let Some(last) = details.last_mut() {
            *last += &format!("\n# {}", self.reconnects / 2);
        }
        self.agent = AgentActor::start(&self.place, &details)?;
        self.told().await
    }

    /// Returns when the agent has been told of all Configurations what is so.
    async fn told(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + LIMIT;
        while !self.contract.tells(self.proxy.pid(), self.there) {
            match timeout(until.saturating_duration_since(Instant::now()), self.agent.said.recv()).await {
                Ok(Some(said)) => self.contract.take(said),
                Ok(None) => bail!("the agent ended by itself:\n{}", self.agent.actor.tail()),
                Err(_) => {
                    let (handler, proxy) = (self.handler.tail(), self.proxy.tail());
                    bail!("not told: {}\n--- handler\n{handler}\n--- proxy\n{proxy}", self.contract.show())
                }
            }
            self.kept()?;
        }
        Ok(())
    }

    /// An error where the contract was broken, or somebody ended by itself.
    fn kept(&mut self) -> anyhow::Result<()> {
        if let Some(first) = self.contract.breaks().first() {
            bail!("the contract is broken: {first}");
        }
        for actor in [&mut self.handler, &mut self.proxy] {
            if let Some(how) = actor.ended()? {
                bail!("{} ended by itself: {how}\n{}", actor.name, actor.tail());
            }
        }
        Ok(())
    }
}
