//! Names of directory entries: many, in one piece of memory.

use crate::compare::{hash, same};
use crate::memo::Index;

/// The names, in the order in which they came.
#[derive(Default)]
pub(crate) struct Names {
    text: String,
    ends: Vec<usize>,
}

/// The same, and whether one is among them.
pub(crate) struct NameSet {
    names: Names,
    index: Index,
}

impl Names {
    pub(crate) fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.at(at))
    }

    /// The name at a place; none is nowhere.
    fn at(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..self.ends[at]).unwrap_or_default()
    }
}

impl From<Names> for NameSet {
    fn from(names: Names) -> Self {
        let mut index = Index::default();
        for (at, name) in names.iter().enumerate() {
            index.add(hash(name), at);
        }
        Self { names, index }
    }
}

impl NameSet {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.index.find(hash(name), |at| same(self.names.at(at), name)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_in_order_and_found() {
        let mut names = Names::default();
        for name in ["b7:0", "", "c1:3", "+pci:0"] {
            names.push(name);
        }
        assert_eq!(names.iter().collect::<Vec<_>>(), ["b7:0", "", "c1:3", "+pci:0"]);
        let set = NameSet::from(names);
        assert!(set.has("c1:3") && set.has("") && !set.has("c1:30") && !set.has("b7:0c1:3"));
        assert!(!NameSet::from(Names::default()).has(""));
    }
}
