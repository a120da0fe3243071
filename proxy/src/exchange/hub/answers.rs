//! The handler's answers: read, judged, taken or refused.

use std::io;
use std::time::{Duration, Instant};

use akri_exchange::{RequestId, layout, limits};
use rustix::io::Errno;

use super::Hub;
use crate::exchange::answer::{self, Answered};
use crate::exchange::refusals::Refused;
use crate::list::{Draft, NEWEST_BYTES};
use crate::state::Condition;

impl Hub {
    /// Looks at the answer of a job; whatever is wrong with it, the last good one stands.
    pub(super) fn answered(&mut self, id: RequestId) {
        let now = Instant::now();
        if !self.jobs.contains_key(&id) {
            return;
        }
        let name = layout::message(id);
        let folder = self.dir.folder(layout::ANSWERS);
        let opened = folder.and_then(|folder| self.dir.open_file(folder, &name, limits::ANSWER_BYTES));
        let read = match opened {
            Ok(None) => {
                self.cramped.remove(&id);
                return;
            }
            Ok(Some((file, size))) => answer::read(&file, size, id, &self.config.policy, self.draft(id)),
            Err(error) => Err(Refused::File(error)),
        };
        let answered = match read {
            Ok(answered) => answered,
            Err(Refused::File(error)) if is_ours(&error) => return self.mend_later(&error),
            Err(refused) => {
                // One that waits for room is refused once, however often it is looked at.
                let known = match refused {
                    Refused::Room(_) => !self.cramped.insert(id),
                    _ => {
                        self.cramped.remove(&id);
                        false
                    }
                };
                if !known {
                    self.refuse(&name, &refused);
                }
                return;
            }
        };
        self.cramped.remove(&id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        self.metrics.accepted.inc();
        if let Some(since) = job.awaited {
            self.metrics.answer_seconds.observe(now.duration_since(since).as_secs_f64());
        }
        match answered {
            Answered::Devices(list) => {
                tracing::debug!(job = %id, devices = list.devices(), "handler answered");
                let own = self.hello.as_ref().map_or(0, |hello| hello.removal_grace_ms);
                let grace = self.config.removal_grace.unwrap_or(Duration::from_millis(own));
                job.listed(list, grace, now);
            }
            Answered::Failed(failure) => {
                tracing::warn!(job = %id, %failure, kind = ?failure.kind, "handler has no list; the last one stands");
                job.failed(failure);
            }
        }
        if self.condition == Condition::Hung {
            self.check_handler(now);
        }
        self.report_jobs();
    }

    /// A list for a job. It may be as large as the other jobs leave room for, and at least as large as the job's is now: what only
    /// shrinks is always taken.
    fn draft(&self, id: RequestId) -> Draft {
        let bytes =
            |own| self.jobs.iter().filter(move |(of, _)| (**of == id) == own).map(|(_, job)| job.bytes());
        let most = NEWEST_BYTES.saturating_sub(bytes(false).sum()).max(bytes(true).sum());
        Draft::new(&self.room, most)
    }

    /// There may be room now for answers that found none.
    pub(super) fn look_again(&mut self) {
        self.cramped.clone().into_iter().for_each(|id| self.answered(id));
    }

    pub(super) fn refuse(&mut self, file: &str, refused: &Refused) {
        let reason = refused.reason();
        self.metrics.refuse(reason);
        if let Some(kept_quiet) = self.refusals.say(Instant::now()) {
            tracing::warn!(
                file,
                reason,
                error = %refused,
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
