//! Whether something grows: its second quarter, when everything that is kept is there, against its last one.

use super::sample::{Figure, Kind, Sample};
use crate::say::bytes;

/// By how much the median of a quarter's memory may be above another's: what an allocator keeps varies by pages.
const MOST_BYTES: u64 = 256 * 1024;
/// The table's.
pub(super) const HEADINGS: [&str; 5] = ["WHAT", "2ND QUARTER", "LAST QUARTER", "MOST", "VERDICT"];
/// The rule, for people.
pub(super) const RULE: &str = "memory: medians, of which the last may be 256 KiB above the other; counts: the most, and none \
     more; PSS also depends on who else uses the same libraries";

/// One figure's.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) what: &'static str,
    kind: Kind,
    second: u64,
    last: u64,
    most: u64,
}

/// Of all figures. There are at least four samples.
pub(super) fn of(samples: &[Sample]) -> Vec<Verdict> {
    let Some(first) = samples.first() else { return Vec::new() };
    let quarter = samples.len() / 4;
    let verdict = |(index, figure): (usize, &Figure)| {
        let values: Vec<u64> = samples.iter().map(|sample| sample.0[index].value).collect();
        let middle = |values: &[u64]| match figure.kind {
            Kind::Count => values.iter().copied().max().unwrap_or_default(),
            Kind::Memory | Kind::Shared => {
                let mut sorted = values.to_vec();
                sorted.sort_unstable();
                sorted.get(sorted.len() / 2).copied().unwrap_or_default()
            }
        };
        Verdict {
            what: figure.what,
            kind: figure.kind,
            second: middle(&values[quarter..quarter * 2]),
            last: middle(&values[values.len() - quarter..]),
            most: values.iter().copied().max().unwrap_or_default(),
        }
    };
    first.0.iter().enumerate().map(verdict).collect()
}

impl Verdict {
    /// Whether it does.
    pub(super) fn grows(&self) -> bool {
        match self.kind {
            Kind::Memory => self.last > self.second + MOST_BYTES,
            Kind::Count => self.last > self.second,
            Kind::Shared => false,
        }
    }

    /// A row of the table.
    pub(super) fn row(&self) -> [String; 5] {
        let shown = |value| match self.kind {
            Kind::Count => format!("{value}"),
            Kind::Memory | Kind::Shared => bytes(value),
        };
        let word = match self.kind {
            Kind::Shared => "-",
            _ if self.grows() => "GROWS",
            _ => "flat",
        };
        [self.what.to_owned(), shown(self.second), shown(self.last), shown(self.most), word.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grows(kind: Kind, value: impl Fn(u64) -> u64) -> bool {
        let samples: Vec<Sample> =
            (0..80).map(|at| Sample(vec![Figure { what: "it", kind, value: value(at) }])).collect();
        of(&samples)[0].grows()
    }

    #[test]
    fn what_grows_is_seen_and_what_varies_is_not() {
        assert!(!grows(Kind::Count, |_| 7));
        assert!(!grows(Kind::Count, |at| 7 - at % 2));
        assert!(grows(Kind::Count, |at| 7 + u64::from(at == 79)));
        // What is kept after a beginning.
        assert!(!grows(Kind::Count, |at| 7 + u64::from(at > 20)));
        assert!(!grows(Kind::Memory, |at| 3_000_000 + at % 7 * 50_000));
        assert!(!grows(Kind::Memory, |at| if at == 70 { 9_000_000 } else { 3_000_000 }));
        assert!(grows(Kind::Memory, |at| 3_000_000 + at * 8192));
        assert!(!grows(Kind::Shared, |at| at * 1_000_000));
    }
}
