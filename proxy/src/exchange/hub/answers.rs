//! The handler's answers: read, judged, taken or refused.

use std::time::{Duration, Instant};

use akri_exchange::{Answer, Outcome, RequestId, layout, limits};
use prost::Message;

use super::Hub;
use crate::exchange::job::MAX_LIST_BYTES;
use crate::pb;
use crate::policy::Policy;
use crate::state::Condition;

impl Hub {
    /// Looks at the answer of a job; whatever is wrong with it, the last good one stands.
    pub(super) fn answered(&mut self, id: RequestId) {
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

    pub(super) fn refuse(&mut self, file: &str, reason: &'static str, error: &str) {
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
