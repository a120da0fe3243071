//! Whether all is well again after a burst, how soon, and with nothing left over.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::{Campaign, GOAL};
use crate::faults::cast::Actor;
use crate::faults::contract::Expected;
use crate::faults::fault::Fault;
use crate::faults::leaks::Inventory;
use crate::say::ms;

/// What recovery may take: longer is a break.
const LIMIT: Duration = Duration::from_secs(15);
/// How long what is on its way may take to be cleared away.
const SETTLE: Duration = Duration::from_secs(5);

impl Campaign {
    /// Waits until a change of the devices reaches the agent by every stream, and until they are all back.
    pub(super) async fn recover(&mut self, since: Instant, after: &[Fault]) -> anyhow::Result<()> {
        self.contract.expected = Expected::Either;
        let gone = self.all_tell(false, since).await;
        let back = since.elapsed();
        let again = gone && self.all_tell(true, Instant::now()).await;
        self.contract.expected = Expected::Full;
        if again {
            // Who has answered since has got over its want of memory.
            for proxy in self.proxies.iter_mut().flatten().filter(|proxy| proxy.starved) {
                proxy.starved = false;
                self.contract.spared(proxy.pid());
            }
            self.handler.iter_mut().for_each(|handler| handler.starved = false);
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
    pub(super) async fn all_tell(&mut self, there: bool, since: Instant) -> bool {
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

    pub(super) async fn start_over(&mut self) -> anyhow::Result<()> {
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

    pub(super) async fn inventory(&mut self) -> anyhow::Result<Inventory> {
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

    pub(super) async fn look_for_leaks(&mut self, expected: &Inventory) -> anyhow::Result<()> {
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
}
