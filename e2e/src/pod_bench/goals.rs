//! What the pod is to be like, beside what was found.

use std::time::Duration;

use crate::say::{Say, bytes, ms};

/// From Discover to the first response, for 2 devices.
pub(super) const FEW: Duration = Duration::from_millis(1);
/// The same for 5,000 devices, with a module that is compiled ahead of time.
pub(super) const MANY: Duration = Duration::from_millis(10);
/// From a change to the response that tells it.
pub(super) const CHANGE: Duration = Duration::from_micros(1500);
/// How many times as long as the floor it may take.
pub(super) const TIMES_FLOOR: u32 = 2;
/// The proxy's resident memory, in bytes.
pub(super) const PROXY_BYTES: u64 = 5_000_000;
/// The working set of both containers, in bytes.
pub(super) const POD_BYTES: u64 = 6 << 20;

/// The rows so far.
#[derive(Debug, Default)]
pub(super) struct Goals(Vec<[String; 4]>);

impl Goals {
    /// A time that may be so long at most.
    pub(super) fn time(&mut self, what: String, found: Duration, goal: Duration) {
        let missed = (found > goal).then(|| ms(found - goal));
        self.row(what, format!("at most {}", ms(goal)), ms(found), missed);
    }

    /// An amount of memory that may be so large at most.
    pub(super) fn memory(&mut self, what: String, found: u64, goal: u64) {
        let missed = (found > goal).then(|| bytes(found - goal));
        self.row(what, format!("at most {}", bytes(goal)), bytes(found), missed);
    }

    /// A number that is to be so large at most.
    pub(super) fn count(&mut self, what: String, found: u64, goal: u64) {
        let missed = (found > goal).then(|| (found - goal).to_string());
        self.row(what, format!("at most {goal}"), found.to_string(), missed);
    }

    fn row(&mut self, what: String, goal: String, found: String, missed: Option<String>) {
        let verdict = missed.map_or_else(|| "met".to_owned(), |by| format!("missed by {by}"));
        self.0.push([what, goal, found, verdict]);
    }

    pub(super) fn show(&self, say: &Say) {
        say.step("the goals");
        say.table(["WHAT", "GOAL", "FOUND", ""], &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_a_goal_misses_it() {
        let mut goals = Goals::default();
        goals.time("t".into(), FEW, FEW);
        goals.time("t".into(), FEW * 2, FEW);
        goals.memory("m".into(), 6_000_000, PROXY_BYTES);
        goals.count("c".into(), 1, 0);
        let verdicts: Vec<&str> = goals.0.iter().map(|row| row[3].as_str()).collect();
        assert_eq!(verdicts, ["met", "missed by 1.00 ms", "missed by 1.00 MB", "missed by 1"]);
    }
}
