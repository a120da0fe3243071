//! Joins changes that come in bursts into few wake-ups. Pure: the time comes from outside.
//!
//! What belongs to one change is written at once: it is told together, a moment after its first part, and once. Longer
//! waiting would make every device late. What follows is joined until it has been quiet for a moment, and told at the
//! latest after a time that doubles as long as it goes on. In between nobody needs to listen, so that a flood of changes
//! costs no more than its few wake-ups.

use std::time::{Duration, Instant};

/// The first change is told after so long. udevd writes the record of a device twice, within a tenth of this: who told
/// the first one at once would have to tell the second one, too.
pub(crate) const SETTLED: Duration = Duration::from_millis(1);
/// A burst is over when nothing changed for so long. udevd writes what belongs to one device within a few milliseconds.
pub(crate) const QUIET: Duration = Duration::from_millis(20);
/// What never gets quiet is told this often.
pub(crate) const LONGEST: Duration = Duration::from_millis(200);

/// Whether a burst goes on, and what of it is untold.
#[derive(Debug, Default)]
pub(crate) struct Burst(Option<Going>);

#[derive(Debug)]
struct Going {
    /// When to look whether there were more changes.
    look: Instant,
    /// When the last wake-up was; `None` before the first.
    told: Option<Instant>,
    /// How long after that the next one may be, if it does not get quiet.
    pause: Duration,
    /// Whether something changed since.
    more: bool,
}

impl Burst {
    /// When to look again; `None` while no burst goes on: then [`Burst::begin`] is to be told of what happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.as_ref().map(|going| going.look)
    }

    /// Something happened while all was quiet: a change, or what may become one.
    pub(crate) fn begin(&mut self, change: bool, now: Instant) {
        self.0 = Some(Going { look: now + SETTLED, told: None, pause: QUIET, more: change });
    }

    /// It was time to look, and there were changes or none. Whether they are to be told now.
    pub(crate) fn looked(&mut self, changes: bool, now: Instant) -> bool {
        let Some(going) = &mut self.0 else { return changes };
        let untold = going.more || changes;
        let Some(told) = going.told else {
            *going = Going { look: now + QUIET, told: Some(now), pause: QUIET, more: false };
            return untold;
        };
        if !changes {
            self.0 = None;
            return untold;
        }
        going.look = now + QUIET;
        going.more = now.duration_since(told) < going.pause;
        if going.more {
            return false;
        }
        going.told = Some(now);
        going.pause = (going.pause * 2).min(LONGEST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays changes at these milliseconds; the milliseconds at which they are told.
    fn told(changes: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let (mut burst, mut told, mut next) = (Burst::default(), Vec::new(), 0);
        for ms in 0..10_000 {
            if burst.due().is_some_and(|due| due > at(ms)) {
                continue;
            }
            let before = next;
            while changes.get(next).is_some_and(|change| *change <= ms) {
                next += 1;
            }
            let changed = next > before;
            if burst.due().is_some() {
                if burst.looked(changed, at(ms)) {
                    told.push(ms);
                }
            } else if changed {
                burst.begin(true, at(ms));
            }
        }
        assert_eq!(burst.due(), None, "afterwards nothing is waited for");
        told
    }

    #[test]
    fn one_change_is_one_wake_up_also_where_it_is_written_twice() {
        assert_eq!(told(&[]), [0; 0]);
        assert_eq!(told(&[5]), [6]);
        assert_eq!(told(&[5, 6]), [6]);
        assert_eq!(told(&[5, 100, 200]), [6, 101, 201]);
    }

    #[test]
    fn what_follows_is_told_soon_and_the_rest_when_it_is_quiet() {
        // A device that is back at once does not wait until all is quiet.
        assert_eq!(told(&[5, 10]), [6, 26]);
        assert_eq!(told(&[5, 10, 30, 50]), [6, 26, 66]);
        assert_eq!(told(&[5, 10, 30, 50, 70, 90]), [6, 26, 66, 126]);
    }

    #[test]
    fn what_became_nothing_is_not_told() {
        let (mut burst, now) = (Burst::default(), Instant::now());
        burst.begin(false, now);
        assert!(!burst.looked(false, now + SETTLED));
        assert!(!burst.looked(false, now + SETTLED + QUIET));
        assert_eq!(burst.due(), None);
        burst.begin(false, now);
        assert!(burst.looked(true, now + SETTLED), "and what became something is");
    }

    #[test]
    fn what_never_gets_quiet_is_told_now_and_then() {
        let flood: Vec<u64> = (0..2000).collect();
        let told = told(&flood);
        assert!(told.windows(2).all(|pair| pair[1] - pair[0] <= 220), "{told:?}");
        assert!((10..=15).contains(&told.len()), "{told:?}");
        assert!(*told.last().unwrap() >= 1999, "the last change is told, too: {told:?}");
    }
}
