//! Joins changes that come in bursts into few wake-ups. Pure: the time comes from outside.
//!
//! The first change after a quiet time counts at once: waiting for more would make every device late. What follows is
//! joined until it has been quiet for a moment, and told at the latest after a longer one. In between nobody needs to
//! listen, so that a flood of changes costs no more than its few wake-ups.

use std::time::{Duration, Instant};

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
    /// When the last wake-up was.
    told: Instant,
    /// Whether something changed since.
    more: bool,
}

impl Burst {
    /// When to look again; `None` while no burst goes on: then a change has to be told at once by [`Burst::changed`].
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.as_ref().map(|going| going.look)
    }

    /// Something changed while all was quiet. It is to be told now.
    pub(crate) fn changed(&mut self, now: Instant) {
        self.0 = Some(Going { look: now + QUIET, told: now, more: false });
    }

    /// It was time to look, and there were changes or none. Whether they are to be told now.
    pub(crate) fn looked(&mut self, changes: bool, now: Instant) -> bool {
        let Some(going) = &mut self.0 else { return changes };
        if !changes {
            let untold = going.more;
            self.0 = None;
            return untold;
        }
        going.look = now + QUIET;
        going.more = true;
        let late = now.duration_since(going.told) >= LONGEST;
        if late {
            going.told = now;
            going.more = false;
        }
        late
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
                burst.changed(at(ms));
                told.push(ms);
            }
        }
        assert_eq!(burst.due(), None, "afterwards nothing is waited for");
        told
    }

    #[test]
    fn the_first_change_is_told_at_once_and_the_rest_when_it_is_quiet() {
        assert_eq!(told(&[5]), [5]);
        assert_eq!(told(&[5, 6, 7, 30, 50]), [5, 85]);
        assert_eq!(told(&[5, 100, 200]), [5, 100, 200]);
        assert_eq!(told(&[]), [0; 0]);
    }

    #[test]
    fn what_never_gets_quiet_is_told_now_and_then() {
        let flood: Vec<u64> = (0..2000).collect();
        let told = told(&flood);
        assert!(told.windows(2).all(|pair| pair[1] - pair[0] <= 220), "{told:?}");
        assert!((10..=13).contains(&told.len()), "{told:?}");
        assert!(*told.last().unwrap() >= 1999, "the last change is told, too: {told:?}");
    }
}
