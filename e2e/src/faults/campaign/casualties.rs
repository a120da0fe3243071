//! What happens meanwhile: each message held against the contract, and who ends by itself.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Campaign;
use crate::faults::cast::{Actor, AgentActor};

/// What WasmEdge 0.14.1 may die of some time after SIGSTOP and SIGCONT: a wait that a signal cut short leaves its timer
/// behind, and a later wait does not know it. No module can help that; the kubelet starts it again.
const ENGINE_ASSERTION: &str = "Poller::wait(): Assertion";
/// While the exchange is gone a process that starts may say so and end.
const GONE: Duration = Duration::from_millis(300);

impl Campaign {
    /// Holds what the agent says against the contract for a while, and sees who ends by itself.
    pub(super) async fn watch(&mut self, time: Duration) {
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
    pub(super) fn see_ends(&mut self) {
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
                // Who gets no more memory may end at once, as by a kill; that it is seen no more than that is what counts.
                self.starved += usize::from(actor.starved);
                let what = format!("{} ended by itself: {how}\n{}", actor.name, actor.tail());
                ended.push((what, excused || actor.starved));
            }
        }
        for (what, excused) in ended {
            if excused {
                self.tell(what);
            } else {
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
}
