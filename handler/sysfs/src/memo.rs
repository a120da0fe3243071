//! Keeps what was found once, and finds it again by a text.
//!
//! Not std's maps: one that sorts compares long paths many times for each that it takes up, and one that hashes is large
//! code and a slow hash, for each kind of thing that is kept.

use std::cell::RefCell;

use crate::compare::{hash, same};

/// Places of the index at first; a power of two.
const PLACES: usize = 16;

/// What has a text by which it is found again.
pub(crate) trait Keyed {
    /// The text; it stays the same.
    fn key(&self) -> &str;
}

/// What was found.
pub(crate) struct Memo<T> {
    kept: RefCell<Kept<T>>,
}

struct Kept<T> {
    things: Vec<T>,
    index: Index,
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self { kept: RefCell::new(Kept { things: Vec::new(), index: Index::default() }) }
    }
}

impl<T: Clone + Keyed> Memo<T> {
    /// What was kept under this text, or else what `find` finds for it, which is kept.
    pub(crate) fn get(&self, text: impl AsRef<str> + Into<String>, find: impl FnOnce(String) -> T) -> T {
        let hash = hash(text.as_ref());
        {
            let kept = self.kept.borrow();
            if let Some(at) = kept.index.find(hash, |at| same(kept.things[at].key(), text.as_ref())) {
                return kept.things[at].clone();
            }
        }
        // Nothing is borrowed meanwhile: to find one thing may take another one of the same kind.
        let found = find(text.into());
        let mut kept = self.kept.borrow_mut();
        let at = kept.things.len();
        kept.things.push(found.clone());
        kept.index.add(hash, at);
        found
    }
}

/// Where in a list things of some hash are. The list is somebody else's.
#[derive(Default)]
pub(crate) struct Index {
    /// Hash, and place in the list from 1 on; 0 where there is nothing. A power of two of them, half of them free.
    places: Vec<(u32, u32)>,
    used: usize,
}

impl Index {
    /// The place of a thing that has this hash and of which `is` holds.
    pub(crate) fn find(&self, hash: u32, is: impl Fn(usize) -> bool) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            match self.places[at] {
                (_, 0) => return None,
                (other, place) if other == hash && is(place as usize - 1) => return Some(place as usize - 1),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Takes a thing up.
    pub(crate) fn add(&mut self, hash: u32, place: usize) {
        if self.used * 2 >= self.places.len() {
            let more = vec![(0, 0); (self.places.len() * 2).max(PLACES)];
            for (hash, place) in std::mem::replace(&mut self.places, more) {
                if place != 0 {
                    self.put(hash, place);
                }
            }
        }
        self.used += 1;
        // Four thousand million names do not fit into a guest's memory.
        self.put(hash, u32::try_from(place + 1).unwrap_or(u32::MAX));
    }

    fn put(&mut self, hash: u32, place: u32) {
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        while self.places[at].1 != 0 {
            at = (at + 1) & mask;
        }
        self.places[at] = (hash, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for std::rc::Rc<str> {
        fn key(&self) -> &str {
            self
        }
    }

    #[test]
    fn things_are_found_once_and_again() {
        let memo = Memo::default();
        let finds = std::cell::Cell::new(0);
        for _ in 0..2 {
            for number in 0..1000 {
                let text = format!("/devices/virtual/tty/tty{number}");
                let found: std::rc::Rc<str> = memo.get(text.as_str(), |text| {
                    finds.set(finds.get() + 1);
                    text.into()
                });
                assert_eq!(*found, *text);
            }
        }
        assert_eq!(finds.get(), 1000);
    }

    #[test]
    fn one_hash_for_all_is_slow_and_right() {
        let mut index = Index::default();
        for place in 0..100 {
            index.add(7, place);
        }
        assert_eq!(index.find(7, |place| place == 99), Some(99));
        assert_eq!(index.find(7, |_| false), None);
        assert_eq!(Index::default().find(7, |_| true), None);
    }
}
