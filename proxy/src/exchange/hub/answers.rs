//! The handler's answers: read, judged, taken or refused.

use std::io;
use std::time::{Duration, Instant};

use akri_exchange::{Answer, Invalid, Outcome, RequestId, layout, limits};
use prost::Message;
use rustix::io::Errno;

use super::Hub;
use crate::exchange::job::{MAX_LIST_BYTES, response};
use crate::policy::Policy;
use crate::state::Condition;

impl Hub {
    /// Looks at the answer of a job; whatever is wrong with it, the last good one stands.
    pub(super) fn answered(&mut self, id: RequestId) {
        let now = Instant::now();
        if !self.jobs.contains_key(&id) {
            return;
        }
        let name = layout::message(id);
        let read =
            self.dir.folder(layout::ANSWERS).and_then(|f| self.dir.read(f, &name, limits::ANSWER_BYTES));
        if let Err(error) = &read
            && is_ours(error)
        {
            return self.mend_later(error);
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(answer) = parsed(read, |bytes| Answer::parse(bytes, id)) else { return };
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

/// Whether an error says nothing about a file: we have no descriptor or memory left, and have to look again.
pub(super) fn is_ours(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR))
}

/// Why something is refused: a word for metrics, and what is wrong.
pub(super) type Refusal = (&'static str, String);

/// A message from a file that was read, or why it is refused; `None` where there is no file.
pub(super) fn parsed<T>(
    read: io::Result<Option<Vec<u8>>>,
    parse: impl FnOnce(&[u8]) -> Result<T, Invalid>,
) -> Option<Result<T, Refusal>> {
    match read {
        Ok(None) => None,
        Ok(Some(bytes)) => Some(parse(&bytes).map_err(|error| (error.reason(), error.to_string()))),
        Err(error) => Some(Err(("file", error.to_string()))),
    }
}

/// Checks what an answer hands out, and that the agent can take it.
fn allowed(policy: &Policy, answer: Answer) -> Result<Outcome, Refusal> {
    if let Outcome::Devices(devices) = &answer.outcome {
        policy.check(devices).map_err(|forbidden| ("policy", forbidden.to_string()))?;
        let bytes = response(devices).encoded_len();
        if bytes > MAX_LIST_BYTES {
            let error =
                format!("{} devices make {bytes} bytes, the agent takes {MAX_LIST_BYTES}", devices.len());
            return Err(("too_large", error));
        }
    }
    Ok(answer.outcome)
}
