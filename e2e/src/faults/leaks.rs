//! What there is when nothing happens: files, descriptors, watches, jobs, streams. More than at the beginning is a leak.

use std::collections::BTreeMap;

use super::cast::{Actor, status};
use super::place::Place;

/// How the names of files begin here.
const FILE: &str = "file ";
/// What a timer's descriptor is called,
const TIMER: &str = "anon_inode:[timerfd]";
/// and how many WasmEdge may keep for itself.
const TIMERS: usize = 4;

/// A count of everything, by name. Two of them are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory(BTreeMap<String, String>);

impl Inventory {
    /// Counts. `proxies` with their ports.
    pub(super) async fn take(
        place: &Place,
        handler: &Actor,
        proxies: &[(&Actor, u16)],
    ) -> anyhow::Result<Self> {
        let mut found = BTreeMap::new();
        let mut note = |what: String, value: String| found.insert(what, value);
        // Which proxy has which number may change, and with it the names; how many there are may not.
        for (what, tree) in
            [("akri", Place::tree(&place.akri())), ("exchange", Place::tree(&place.exchange()))]
        {
            for file in tree {
                note(format!("{FILE}{what}/{file}"), String::new());
            }
        }
        for (kind, count) in handler.descriptor_kinds()? {
            // The engine keeps timers for the next wait: as many as it once needed at a time.
            if kind == TIMER && count <= TIMERS {
                continue;
            }
            note(format!("handler: descriptors {kind}"), count.to_string());
        }
        for (proxy, port) in proxies {
            let state = status(*port).await?;
            let name = &proxy.name;
            note(format!("{name}: jobs"), state.jobs.len().to_string());
            note(format!("{name}: open streams"), state.streams.open.to_string());
            note(format!("{name}: streams without a list"), state.streams.waiting.to_string());
            note(format!("{name}: registered"), state.registration.registered.to_string());
            note(format!("{name}: handler"), state.handler.condition.as_str().to_owned());
            note(format!("{name}: watches"), proxy.watches()?.to_string());
            for (kind, count) in proxy.descriptor_kinds()? {
                note(format!("{name}: descriptors {kind}"), count.to_string());
            }
        }
        Ok(Self(found))
    }

    /// What differs from what there should be; nothing where all is well.
    pub(super) fn against(&self, expected: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (what, value) in &self.0 {
            match expected.0.get(what) {
                Some(wanted) if wanted == value => {}
                // Fewer is no leak: at the beginning something may have been held that only a start needs.
                Some(wanted) if value.parse::<u64>().ok() < wanted.parse().ok() => {}
                Some(wanted) => differences.push(format!("{what}: {value}, at the beginning {wanted}")),
                None => differences.push(format!("{what} {value}: there was none at the beginning")),
            }
        }
        // A file that is not there is one that somebody needs; a descriptor that is not open is not.
        let missing = expected.0.keys().filter(|what| what.starts_with(FILE) && !self.0.contains_key(*what));
        differences.extend(missing.map(|what| format!("{what} is missing")));
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_less_and_other_is_told() {
        let of = |pairs: &[(&str, &str)]| {
            Inventory(pairs.iter().map(|(what, value)| ((*what).to_owned(), (*value).to_owned())).collect())
        };
        let before = of(&[("file a", ""), ("jobs", "3")]);
        assert_eq!(before.against(&before), [""; 0]);
        assert_eq!(of(&[("file a", ""), ("file b", ""), ("jobs", "4")]).against(&before).len(), 2);
        assert_eq!(of(&[("jobs", "3")]).against(&before), ["file a is missing"]);
    }
}
