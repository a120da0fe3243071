//! Holds removals back for a grace time: a device that only blinks was never gone. Pure: the time comes from outside.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::list::{Draft, Entry, List, Overfull};
use crate::room::Room;

/// When to try again where there was no room to tell a removal.
const AGAIN: Duration = Duration::from_millis(200);

/// The list of a job as the agent is to see it, made from the lists as the handler sees them.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    /// The last list that was presented.
    shown: Option<Arc<List>>,
    /// Those of it that are gone.
    held: Vec<Held>,
}

/// A device that is gone, but still shown.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Where it stands in what is shown; ascending.
    index: usize,
    /// When it is to go there, too.
    due: Instant,
}

impl Removals {
    /// Takes the handler's new list in; what comes back is to be shown. Additions and changes count at once.
    pub(crate) fn take(&mut self, mut list: Draft, grace: Duration, now: Instant) -> Arc<List> {
        let shown = self.shown.take();
        let kept = shown.as_deref().map(|shown| self.to_keep(shown, &list, grace, now)).unwrap_or_default();
        let (mark, own) = (list.mark(), list.devices());
        if let Some(shown) = &shown
            && !kept.is_empty()
        {
            match add(&mut list, shown, &kept) {
                // In another order it would be another list, and told: of a blink nobody is to hear.
                Ok(()) if same(list.entries(), shown.entries()) => {
                    self.held = kept;
                    return self.shown.insert(shown.clone()).clone();
                }
                Ok(()) => {
                    let moved = kept.iter().enumerate().map(|(n, held)| Held { index: own + n, ..*held });
                    self.held = moved.collect();
                    return self.shown.insert(Arc::new(list.finish())).clone();
                }
                Err(error) => {
                    tracing::warn!(%error, "no room to hold removals back: telling them at once");
                    list.cut(mark);
                }
            }
        }
        self.held.clear();
        self.shown.insert(Arc::new(list.finish())).clone()
    }

    /// What of the list that is shown is gone and not due yet, each device once.
    fn to_keep(&self, shown: &List, list: &Draft, grace: Duration, now: Instant) -> Vec<Held> {
        if grace.is_zero() {
            return Vec::new();
        }
        let mut known: HashSet<&[u8]> = list.entries().map(|entry| entry.id).collect();
        let mut held = self.held.iter().peekable();
        let mut kept = Vec::new();
        for (index, entry) in shown.entries().enumerate() {
            let before = held.next_if(|held| held.index == index).map(|held| held.due);
            let due = before.unwrap_or(now + grace);
            if known.insert(entry.id) && due > now {
                kept.push(Held { index, due });
            }
        }
        kept
    }

    /// When the next held device has to go; `None` where none is held.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.held.iter().map(|held| held.due).min()
    }

    /// Lets go of what is due. `Some` with the list to show where that changed it.
    pub(crate) fn expire(&mut self, now: Instant, room: &Room) -> Option<Arc<List>> {
        let shown = self.shown.as_deref()?;
        if self.due()? > now {
            return None;
        }
        let mut left = Draft::new(room, usize::MAX);
        let (mut held, mut kept) = (self.held.iter().peekable(), Vec::new());
        for (index, entry) in shown.entries().enumerate() {
            match held.next_if(|held| held.index == index) {
                Some(Held { due, .. }) if *due <= now => continue,
                Some(Held { due, .. }) => kept.push(Held { index: left.devices(), due: *due }),
                None => {}
            }
            if left.copy(entry).is_err() {
                // A slow agent has older lists yet.
                self.held.iter_mut().for_each(|held| held.due = held.due.max(now + AGAIN));
                return None;
            }
        }
        self.held = kept;
        Some(self.shown.insert(Arc::new(left.finish())).clone())
    }
}

fn add(list: &mut Draft, shown: &List, kept: &[Held]) -> Result<(), Overfull> {
    let mut kept = kept.iter().peekable();
    for (index, entry) in shown.entries().enumerate() {
        if kept.next_if(|held| held.index == index).is_some() {
            list.copy(entry)?;
        }
    }
    Ok(())
}

/// Whether both hold the same devices, in whatever order.
fn same<'l>(one: impl Iterator<Item = Entry<'l>>, other: impl Iterator<Item = Entry<'l>>) -> bool {
    let (mut one, mut other): (Vec<_>, Vec<_>) = (one.collect(), other.collect());
    one.sort_unstable();
    other.sort_unstable();
    one == other
}

#[cfg(test)]
mod tests {
    use super::*;
    use akri_exchange::Device;

    const GRACE: Duration = Duration::from_secs(1);

    fn room() -> Room {
        Room::new(1 << 20)
    }

    fn list(ids: &str) -> Draft {
        draft(&room(), ids.split_whitespace().map(Device::new))
    }

    fn draft(room: &Room, devices: impl IntoIterator<Item = Device>) -> Draft {
        let mut draft = Draft::new(room, usize::MAX);
        devices.into_iter().for_each(|device| draft.push(device).unwrap());
        draft
    }

    fn ids(list: impl AsRef<List>) -> String {
        let ids = list.as_ref().entries().map(|entry| String::from_utf8(entry.id.to_vec()).unwrap());
        ids.collect::<Vec<_>>().join(" ")
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
            assert_eq!(removals.expire(now, &room()), None);
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
        assert_eq!(removals.expire(now + GRACE, &room()).map(ids).as_deref(), Some("c d b"));
        assert_eq!(ids(removals.take(list("c"), GRACE, now + GRACE + GRACE / 4)), "c d b");
        assert_eq!(removals.expire(now + GRACE * 3 / 2, &room()).map(ids).as_deref(), Some("c d"));
        assert_eq!(removals.expire(now + GRACE * 3, &room()).map(ids).as_deref(), Some("c"));
        assert_eq!(removals.due(), None);
    }

    #[test]
    fn where_there_is_no_room_nothing_is_held() {
        let now = Instant::now();
        let device = |id: &str| Device::new(id).property("N", "x".repeat(400));
        // Room for two lists of one device each, but not for another device beside them.
        let room = Room::new(1000);
        let mut removals = Removals::default();
        removals.take(draft(&room, [device("a")]), GRACE, now);
        assert_eq!(ids(removals.take(draft(&room, [device("c")]), GRACE, now)), "c");
        assert_eq!(removals.due(), None);
    }

    #[test]
    fn a_removal_that_finds_no_room_is_told_later() {
        let now = Instant::now();
        // Room for a list of four such devices.
        let room = Room::new(1300);
        let device = |id: &str| Device::new(id).property("N", "x".repeat(300));
        let mut removals = Removals::default();
        removals.take(draft(&room, [device("a"), device("b")]), GRACE, now);
        removals.take(draft(&room, [device("a")]), GRACE, now);
        let unsent = draft(&room, [device("old"), device("older")]);
        assert_eq!(removals.expire(now + GRACE, &room), None);
        let again = removals.due().unwrap();
        assert!(again > now + GRACE);
        drop(unsent);
        assert_eq!(removals.expire(again, &room).map(ids).as_deref(), Some("a"));
    }

    #[test]
    fn of_two_with_one_id_one_is_held() {
        let mut removals = Removals::default();
        let now = Instant::now();
        removals.take(list("a a b"), GRACE, now);
        assert_eq!(ids(removals.take(list("b"), GRACE, now)), "b a");
        assert_eq!(removals.expire(now + GRACE, &room()).map(ids).as_deref(), Some("b"));
    }

    #[test]
    fn a_change_counts_at_once_also_while_held() {
        let mut removals = Removals::default();
        let now = Instant::now();
        removals.take(list("a"), GRACE, now);
        removals.take(list(""), GRACE, now);
        let changed = || draft(&room(), [Device::new("a").property("K", "new")]);
        assert_eq!(*removals.take(changed(), GRACE, now), changed().finish());
        assert_eq!(removals.due(), None);
    }
}
