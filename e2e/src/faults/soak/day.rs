//! What a day brings, and in which order.

use crate::faults::dice::Dice;

/// A re-scan each 10 s, as handlers do that poll their devices.
const RESCANS: usize = 24 * 60 * 60 / 10;
/// Changes of devices: more than one in 9 s.
const UPDATES: usize = 10_000;
/// Ends of the agent: more than one in 90 s.
const RECONNECTS: usize = 1_000;
/// All of them.
pub(super) const EVENTS: usize = RESCANS + UPDATES + RECONNECTS;

/// Something that happens again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The handler looks at everything, and finds nothing new.
    Rescan,
    /// All devices go, or come back.
    Update,
    /// The agent is killed, and another one has the same Configurations; every second time but for one, which is another.
    Reconnect,
}

/// So many events, in a day's proportion and a random order.
pub(super) fn events(count: usize, dice: &mut Dice) -> Vec<Event> {
    let share = |of: usize| count * of / EVENTS;
    let mut events = vec![Event::Update; count];
    events[..share(RESCANS)].fill(Event::Rescan);
    events[share(RESCANS)..][..share(RECONNECTS).max(1)].fill(Event::Reconnect);
    // Fisher and Yates.
    for last in (1..count).rev() {
        events.swap(last, dice.below(last + 1));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_all_of_them_and_a_seed_decides_their_order() {
        let day = |count, seed| events(count, &mut Dice::new(seed));
        let count = |of| day(EVENTS, 7).iter().filter(|event| **event == of).count();
        assert_eq!(
            (count(Event::Rescan), count(Event::Update), count(Event::Reconnect)),
            (8640, 10_000, 1_000)
        );
        assert_eq!(day(500, 7), day(500, 7));
        assert_ne!(day(500, 7), day(500, 8));
        assert!(day(500, 7).len() == 500 && day(500, 7).contains(&Event::Reconnect));
    }
}
