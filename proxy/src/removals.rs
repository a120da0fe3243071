//! Holds removals back for a grace time: a device that only blinks was never gone. Pure: the time comes from outside.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use akri_exchange::Device;

/// The list of a job as the agent is to see it, made from the lists as the handler sees them.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    /// The last list that was presented.
    shown: Vec<Device>,
    /// Those of it that are gone, with the moment when that is told. In the order in which they were shown.
    held: Vec<(Device, Instant)>,
}

impl Removals {
    /// Takes the handler's new list in; what comes back is to be shown. Additions and changes count at once.
    pub(crate) fn take(&mut self, list: Vec<Device>, grace: Duration, now: Instant) -> &[Device] {
        let present: HashSet<&str> = list.iter().map(|device| device.id.as_str()).collect();
        let mut held = Vec::new();
        if !grace.is_zero() {
            let mut seen = HashSet::new();
            for device in &self.shown {
                if !present.contains(device.id.as_str()) && seen.insert(device.id.as_str()) {
                    let since_before =
                        self.held.iter().find(|(other, _)| other.id == device.id).map(|(_, due)| *due);
                    held.push((device.clone(), since_before.unwrap_or(now + grace)));
                }
            }
        }
        held.retain(|(_, due)| *due > now);
        let mut next = list;
        next.extend(held.iter().map(|(device, _)| device.clone()));
        // In another order it would be another list, and told: of a blink nobody is to hear.
        if held.is_empty() || !same(&next, &self.shown) {
            self.shown = next;
        }
        self.held = held;
        &self.shown
    }

    /// Lets go of all that is held, at once: there is no room for it.
    pub(crate) fn let_go(&mut self) -> &[Device] {
        let gone: HashSet<String> = self.held.drain(..).map(|(device, _)| device.id).collect();
        self.shown.retain(|device| !gone.contains(&device.id));
        &self.shown
    }

    /// When the next held device has to go; `None` where none is held.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.held.iter().map(|(_, due)| *due).min()
    }

    /// Lets go of what is due. `Some` with the list to show where that changed it.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<&[Device]> {
        let gone: HashSet<String> =
            self.held.iter().filter(|(_, due)| *due <= now).map(|(device, _)| device.id.clone()).collect();
        if gone.is_empty() {
            return None;
        }
        self.held.retain(|(_, due)| *due > now);
        self.shown.retain(|device| !gone.contains(&device.id));
        Some(&self.shown)
    }
}

/// Whether both hold the same devices, in whatever order.
fn same(one: &[Device], other: &[Device]) -> bool {
    let sorted = |list: &'_ [Device]| {
        let mut order: Vec<usize> = (0..list.len()).collect();
        order.sort_by(|a, b| list[*a].id.cmp(&list[*b].id));
        order
    };
    one.len() == other.len() && sorted(one).into_iter().zip(sorted(other)).all(|(a, b)| one[a] == other[b])
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(1);

    fn list(ids: &str) -> Vec<Device> {
        ids.split_whitespace().map(Device::new).collect()
    }

    fn ids(devices: &[Device]) -> String {
        devices.iter().map(|device| device.id.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_a_grace_time_lists_pass_through() {
        let mut removals = Removals::default();
        let now = Instant::now();
        for expected in ["a b", "b", "", "b b a"] {
            assert_eq!(ids(removals.take(list(expected), Duration::ZERO, now)), expected);
            assert_eq!(removals.due(), None);
        }
    }

    #[test]
    fn a_blink_is_never_seen() {
        let mut removals = Removals::default();
        let mut now = Instant::now();
        removals.take(list("a b"), GRACE, now);
        for _ in 0..100 {
            now += GRACE / 2;
            assert_eq!(ids(removals.take(list("b"), GRACE, now)), "a b", "not even the order changes");
            assert_eq!(removals.expire(now), None);
            now += GRACE / 4;
            assert_eq!(ids(removals.take(list("a b"), GRACE, now)), "a b");
            assert_eq!(removals.due(), None);
        }
    }

    #[test]
    fn what_stays_away_goes_once_its_own_time_is_up() {
        let mut removals = Removals::default();
        let now = Instant::now();
        removals.take(list("a b c"), GRACE, now);
        removals.take(list("b c"), GRACE, now);
        assert_eq!(ids(removals.take(list("c d"), GRACE, now + GRACE / 2)), "c d a b");
        assert_eq!(removals.due(), Some(now + GRACE));
        assert_eq!(removals.expire(now + GRACE).map(ids).as_deref(), Some("c d b"));
        assert_eq!(ids(removals.take(list("c"), GRACE, now + GRACE + GRACE / 4)), "c d b");
        assert_eq!(removals.expire(now + GRACE * 3 / 2).map(ids).as_deref(), Some("c d"));
        assert_eq!(removals.expire(now + GRACE * 3).map(ids).as_deref(), Some("c"));
        assert_eq!(removals.due(), None);
    }

    #[test]
    fn where_there_is_no_room_nothing_is_held() {
        let mut removals = Removals::default();
        let now = Instant::now();
        removals.take(list("a b"), GRACE, now);
        assert_eq!(ids(removals.take(list("c"), GRACE, now)), "c a b");
        assert_eq!(ids(removals.let_go()), "c");
        assert_eq!(removals.due(), None);
        assert_eq!(ids(removals.take(list("c d"), GRACE, now)), "c d");
        removals.take(list("d"), GRACE, now);
        assert_eq!(ids(removals.let_go()), "d");
    }

    #[test]
    fn a_change_counts_at_once_also_while_held() {
        let mut removals = Removals::default();
        let now = Instant::now();
        removals.take(list("a"), GRACE, now);
        removals.take(list(""), GRACE, now);
        let changed = vec![Device::new("a").property("K", "new")];
        assert_eq!(removals.take(changed.clone(), GRACE, now), changed);
        assert_eq!(removals.due(), None);
    }
}
