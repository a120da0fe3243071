//! Which fault comes next, how it is begun, and how it is undone.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use akri_proxy::akri::REGISTRATION_SOCKET;
use rustix::process::Signal;

use super::{Campaign, PAUSE};
use crate::faults::cast::{Actor, AgentActor, status};
use crate::faults::fault::Fault;

/// How long an engine takes at most until its module runs.
const SETTLED: Duration = Duration::from_millis(500);
/// More connections than the memory is for that a proxy has mapped and does not use.
const CALLERS: usize = 200;

impl Campaign {
    pub(super) fn draw(&mut self) -> Option<Fault> {
        let all = Fault::all(self.settings.proxies, self.place.own_file_system);
        let fault = *self.dice.pick(&all);
        let free = self.active.iter().all(|active| active.victim().goes_with(fault.victim()));
        // With several proxies a fault may cost one of them its streams only where another one has the agent's.
        let others_stand =
            |number| (0..self.settings.proxies).any(|other| other != number && self.stands(other));
        let covered = match fault {
            // A FIFO that is removed while no proxy has it open cannot be rung any more: the handler finds the new one only
            // when it looks by itself (docs/security.md names this limit), which is later than is waited for here.
            Fault::KillProxy(_) | Fault::NoMemory(_) if self.robbed => false,
            Fault::Emptied | Fault::Replaced => (0..self.settings.proxies).all(|number| self.stands(number)),
            Fault::KillProxy(number) if self.settings.proxies > 1 => others_stand(number),
            // Nor has one that gets no memory at its very start.
            Fault::NoMemory(number) if self.settings.proxies > 1 => {
                self.stands(number) && others_stand(number)
            }
            Fault::NoMemory(number) => self.stands(number),
            // A process that gets no descriptor at its very start has nothing to run on.
            Fault::NoDescriptors(number) => self.stands(number),
            // Nor has an engine: the agent's list shows that this one has begun.
            Fault::HandlerNoDescriptors | Fault::HandlerNoMemory => self.handler_settled(),
            _ => true,
        };
        (free && covered).then_some(fault)
    }

    /// Whether a proxy lives, has told the agent everything, and is not about to end for want of memory.
    fn stands(&self, number: usize) -> bool {
        let proxy = self.proxies[number].as_ref();
        proxy
            .is_some_and(|proxy| proxy.pid() != 0 && !proxy.starved && self.contract.tells(proxy.pid(), true))
    }

    fn handler_settled(&self) -> bool {
        self.handler.as_ref().is_some_and(|handler| handler.pid() != 0 && handler.started.elapsed() > SETTLED)
    }

    pub(super) async fn begin(&mut self, fault: Fault) -> anyhow::Result<()> {
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
            Fault::HandlerNoDescriptors => {
                if let Some(handler) = &self.handler {
                    handler.limit_descriptors(Some(handler.descriptors()? as u64))?;
                }
            }
            Fault::NoMemory(number) => {
                if let Some(proxy) = &mut self.proxies[number] {
                    self.contract.killed(proxy.pid());
                    self.contract.disturbed(proxy.pid());
                    proxy.starve()?;
                    self.call(number);
                }
            }
            Fault::HandlerNoMemory => {
                if let Some(handler) = &mut self.handler {
                    handler.starve()?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn end_one(&mut self) -> anyhow::Result<()> {
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
            Fault::HandlerNoDescriptors => {
                self.see_ends();
                self.handler.as_ref().map_or(Ok(()), |handler| handler.limit_descriptors(None))?;
            }
            Fault::NoMemory(number) => {
                self.callers.clear();
                // Who has ended of it is another one by then.
                self.see_ends();
                if let Some(proxy) = self.proxies[number].as_mut().filter(|proxy| proxy.starved) {
                    proxy.feed()?;
                    // One that still answers has got over it; another one is about to end.
                    if status(self.ports[number]).await.is_ok() {
                        proxy.starved = false;
                        self.contract.spared(proxy.pid());
                    }
                    self.contract.disturbed(proxy.pid());
                }
            }
            Fault::HandlerNoMemory => {
                self.see_ends();
                if let Some(handler) = self.handler.as_mut().filter(|handler| handler.starved) {
                    handler.feed()?;
                }
            }
        }
        Ok(())
    }

    /// Has it need memory: callers at its port that do not say what they want. As many as there are tries, or until it ends.
    fn call(&mut self, number: usize) {
        let connect = |_| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports[number])).ok()?;
            stream.write_all(b"GET").ok()?;
            Some(stream)
        };
        self.callers = (0..CALLERS).map_while(connect).collect();
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
}
