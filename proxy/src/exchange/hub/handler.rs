//! Whether the handler lives, hangs or is gone, and what it says of itself.

use std::time::Instant;

use akri_exchange::{Hello, Wake, layout, limits};

use super::Hub;
use super::answers::is_ours;
use crate::exchange::Bell;
use crate::exchange::job::Job;
use crate::exchange::refusals::Refused;
use crate::state::Condition;

impl Hub {
    pub(super) fn ring(&mut self, wake: Wake) {
        let rung = self.bell.as_ref().is_some_and(|bell| bell.ring(wake));
        if wake == Wake::Everything {
            self.owed = !rung;
        }
        if !rung {
            return;
        }
        self.metrics.wakes.inc();
        self.check_at.get_or_insert(Instant::now() + self.config.answer_deadline);
    }

    /// Reads the announcement, if there is one, and opens the FIFO, if somebody reads it.
    pub(super) fn meet_handler(&mut self) {
        let read = self.dir.read(self.dir.root(), layout::HELLO, limits::HELLO_BYTES);
        if let Err(error) = &read
            && is_ours(error)
        {
            self.unmet = true;
            return self.mend_later(error);
        }
        let said = match read {
            Ok(None) => return,
            Ok(Some(bytes)) => Hello::parse(&bytes).map_err(Refused::Invalid),
            Err(error) => Err(Refused::File(error)),
        };
        let hello = match said {
            Ok(hello) => hello,
            Err(refused) => return self.refuse(layout::HELLO, &refused),
        };
        self.compare(&hello);
        let restarted = self.hello.as_ref().is_some_and(|before| before.instance != hello.instance);
        let bell = Bell::open(&self.dir).unwrap_or_else(|error| {
            self.unmet = true;
            self.mend_later(&error);
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
        self.ring(if self.owed { Wake::Everything } else { Wake::Requests });
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

    pub(super) fn lost_handler(&mut self) {
        let Some(_) = self.bell.take() else { return };
        self.check_at = None;
        self.jobs.values_mut().for_each(|job| job.awaited = None);
        tracing::warn!(jobs = self.jobs.len(), "handler is gone; streams stay and the last lists stand");
        self.set_condition(Condition::Gone);
        // It may be back already: its announcement came before we noticed the end of the old one.
        // Where that cannot be seen, it is looked at again.
        if Bell::open(&self.dir).map_or(true, |bell| bell.is_some()) {
            self.meet_handler();
        }
    }

    pub(super) fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
        self.shared.update(|state| state.handler.condition = condition);
    }

    /// Whether the handler owes an answer for longer than allowed.
    pub(super) fn check_handler(&mut self, now: Instant) {
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
}
