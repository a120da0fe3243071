//! Jobs begin and end: requests are put up and taken down.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use akri_exchange::{Request, RequestId, Wake, layout, limits};

use super::Hub;
use super::handle::{Command, Release, Subscription};
use crate::exchange::folder::{self, ORPHAN_GRACE};
use crate::exchange::job::Job;
use crate::state::Condition;

impl Hub {
    pub(super) fn subscribe(&mut self, command: Command) {
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
                self.mend_later(&error);
            }
        }
    }

    pub(super) fn release(&mut self, id: RequestId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.users -= 1;
        if job.users == 0 {
            self.jobs.remove(&id);
            self.cramped.remove(&id);
            tracing::info!(job = %id, "discovery job ends");
            self.take_down(id);
            self.ring(Wake::Requests);
        }
        self.report_jobs();
    }

    pub(super) fn take_down(&mut self, id: RequestId) {
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
        let asks =
            |index: &u32| requests.join(layout::proxy_folder(*index)).join(layout::message(id)).exists();
        // Where it cannot be seen, somebody asks.
        folder::others(&self.dir, Some(self.own.index)).map_or(true, |others| others.iter().any(asks))
    }

    /// Takes over what a dead predecessor left in our folder, and notes what other dead proxies left in theirs.
    pub(super) fn inherit(&mut self, now: Instant) -> io::Result<()> {
        let known = |id: &RequestId| self.jobs.contains_key(id);
        self.inherited = self.own.requests(&self.dir)?.into_iter().filter(|id| !known(id)).collect();
        if !self.inherited.is_empty() {
            tracing::info!(
                requests = self.inherited.len(),
                "found the requests of a former life of this proxy"
            );
            self.inherited_until = Some(now + ORPHAN_GRACE);
        }
        for index in folder::others(&self.dir, Some(self.own.index))? {
            self.orphans.notice(index, now);
        }
        Ok(())
    }
}

/// A request for the exchange, from what the agent sent.
pub(crate) fn request(details: String, properties: akri_exchange::Properties) -> Request {
    let (details_json, details_error) = match crate::details::to_json(&details) {
        Ok(json) => (Some(json), None),
        Err(error) => (None, Some(error)),
    };
    Request { details_text: details, details_json, details_error, properties }
}
