//! One campaign: bursts of faults, each burst undone and recovered from, until enough was survived.
//!
//! `injection` draws faults and does them, `casualties` sees what happens meanwhile and who ends by itself, `recovery` waits
//! until all is well again and looks for what is left over, `report` tells it.

mod casualties;
mod injection;
mod recovery;
mod report;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::cast::{Actor, AgentActor, Programs};
use super::configurations;
use super::contract::Contract;
use super::dice::Dice;
use super::fault::Fault;
use super::place::Place;
use crate::say::Say;

/// The most faults of one burst.
const BURST: usize = 5;
/// The longest pause between two steps.
const PAUSE: Duration = Duration::from_millis(40);
/// What recovery should take at most; longer is told.
const GOAL: Duration = Duration::from_secs(1);
/// Leaks are looked for after so many bursts.
const INVENTORY_EVERY: usize = 5;
/// After so many breaks there is nothing more to learn.
const ENOUGH: usize = 20;

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
    /// How often somebody ended because it got no more memory.
    starved: usize,
    /// Connections of nobody in particular, which cost a proxy memory.
    callers: Vec<TcpStream>,
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
            starved: 0,
            callers: Vec::new(),
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
}
