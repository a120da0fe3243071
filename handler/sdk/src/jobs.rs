//! What is asked of the handler, what it last answered, and when it has to look again. Knows no file.

use std::time::{Duration, Instant};

use akri_exchange::{Request, RequestId};

/// The wait before an answer that could not be written is tried again; doubles up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(50);
/// The longest such wait: nothing tells a handler that there is room again, and devices should be back within a second.
const LONGEST_RETRY: Duration = Duration::from_millis(500);

/// All live jobs.
#[derive(Default)]
pub(crate) struct Jobs(Vec<(RequestId, Job)>);

/// One request, as long as somebody asks it.
pub(crate) struct Job {
    pub(crate) request: Request,
    /// When to look again; `None` = only when woken.
    pub(crate) due: Option<Instant>,
    /// A fingerprint of the answer that is on disk; equal answers are not written twice.
    written: Option<u64>,
    /// The answer that could not be written: it is tried again as it is, for a look at the devices may be dear.
    pending: Option<Vec<u8>>,
    retry: Duration,
}

impl Jobs {
    /// The job of this id.
    pub(crate) fn get(&mut self, id: RequestId) -> Option<&mut Job> {
        self.0.iter_mut().find(|(other, _)| *other == id).map(|(_, job)| job)
    }

    /// A further job; there is none of this id yet.
    pub(crate) fn add(&mut self, id: RequestId, job: Job) {
        self.0.push((id, job));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Drops the jobs that nobody asks any more.
    pub(crate) fn keep(&mut self, asked: impl Fn(RequestId) -> bool) {
        self.0.retain(|(id, _)| asked(*id));
    }

    /// The earliest moment at which some job is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.0.iter().filter_map(|(_, job)| job.due).min()
    }

    /// Ids of the jobs to look at now.
    pub(crate) fn due(&self, now: Instant) -> Vec<RequestId> {
        self.0.iter().filter(|(_, job)| job.due.is_some_and(|due| due <= now)).map(|(id, _)| *id).collect()
    }

    /// Every job is due now, but for those that wait because they crashed.
    pub(crate) fn all_due(&mut self, now: Instant, waits: impl Fn(RequestId) -> bool) {
        for (id, job) in &mut self.0 {
            if !waits(*id) {
                job.due = Some(now);
                job.pending = None;
            }
        }
    }
}

impl Job {
    /// A job that is due at `due`.
    pub(crate) fn new(request: Request, due: Instant) -> Self {
        Self { request, due: Some(due), written: None, pending: None, retry: FIRST_RETRY }
    }

    /// Whether these bytes are on disk already.
    pub(crate) fn is_written(&self, bytes: &[u8]) -> bool {
        self.written == Some(fingerprint(bytes))
    }

    /// The bytes are on disk; the next look is after `rescan`.
    pub(crate) fn wrote(&mut self, bytes: &[u8], now: Instant, rescan: Option<Duration>) {
        self.written = Some(fingerprint(bytes));
        self.retry = FIRST_RETRY;
        self.due = rescan.map(|interval| now + interval);
    }

    /// The answer that could not be written last time.
    pub(crate) fn take_pending(&mut self) -> Option<Vec<u8>> {
        self.pending.take()
    }

    /// The answer is not on disk any more: somebody emptied the directory.
    pub(crate) fn lost(&mut self, now: Instant) {
        self.written = None;
        self.due = Some(now);
    }

    /// Whether an answer was written at all.
    pub(crate) fn has_written(&self) -> bool {
        self.written.is_some()
    }

    /// The bytes could not be written; tries again after a wait.
    pub(crate) fn failed(&mut self, bytes: Vec<u8>, now: Instant) {
        self.pending = Some(bytes);
        self.due = Some(now + self.retry);
        self.retry = (self.retry * 2).min(LONGEST_RETRY);
    }

    /// Whether the last answer could not be written.
    pub(crate) fn has_failed(&self) -> bool {
        self.retry != FIRST_RETRY
    }
}

/// Tells answers apart. Not of std: whose hash takes five times as many instructions, and guests are interpreted.
/// Each word changes the whole, and no single changed word can go unseen, for every step can be turned back.
fn fingerprint(bytes: &[u8]) -> u64 {
    /// The golden ratio's digits: odd, and without a pattern.
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(MIX);
        mixed ^ mixed >> 29
    };
    let chunks = bytes.chunks_exact(8);
    let rest = chunks.remainder().iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    let hash =
        chunks.map(|chunk| chunk.try_into().map_or(0, u64::from_le_bytes)).fold(bytes.len() as u64, step);
    step(hash, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_an_answer_counts() {
        let answer = b"{\"devices\":[{\"id\":\"foo0\"}]}";
        let mut seen = vec![fingerprint(answer)];
        for end in 0..answer.len() {
            seen.push(fingerprint(&answer[..end]));
            for bit in 0..8 {
                let mut changed = answer.to_vec();
                changed[end] ^= 1 << bit;
                seen.push(fingerprint(&changed));
            }
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
