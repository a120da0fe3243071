//! What Akri's agent needs of handlers, held against every line that the played agent says: full lists only, no end and no
//! error after the headers, headers soon, no registration twice; and over several proxies a united list that never shrinks.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::said::Said;

/// Longer than the proxy lets headers wait (500 ms), with a processor that is busy otherwise.
const HEADERS: Duration = Duration::from_secs(2);

/// What may be told of a Configuration at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// All devices.
    Full,
    /// All or none: they are being taken away, or brought back.
    Either,
}

/// A stream, as the agent has it.
#[derive(Debug)]
struct Stream {
    config: usize,
    pid: i32,
    list: Option<Vec<String>>,
}

/// The contract, and how far it was kept.
#[derive(Debug)]
pub(super) struct Contract {
    full: Vec<Vec<String>>,
    pub(super) expected: Expected,
    streams: HashMap<u64, Stream>,
    /// Who has registered, at which of this agent's sockets.
    registered: HashSet<(i32, u64)>,
    /// Configurations whose united list was full in this life of the agent.
    complete: Vec<bool>,
    /// With several proxies no single fault may be seen in the united list.
    united: bool,
    killed: HashSet<i32>,
    disturbed: HashMap<i32, Instant>,
    agent_disturbed: Instant,
    breaks: Vec<String>,
    /// Lists that were held against it.
    pub(super) lists: u64,
    /// The longest that headers took of a proxy and an agent that ran undisturbed.
    pub(super) longest_headers: Duration,
}

impl Contract {
    /// For Configurations with these devices.
    pub(super) fn new(full: Vec<Vec<String>>, united: bool) -> Self {
        Self {
            complete: vec![false; full.len()],
            full,
            expected: Expected::Full,
            streams: HashMap::new(),
            registered: HashSet::new(),
            united,
            killed: HashSet::new(),
            disturbed: HashMap::new(),
            agent_disturbed: Instant::now(),
            breaks: Vec::new(),
            lists: 0,
            longest_headers: Duration::ZERO,
        }
    }

    /// A proxy is about to be killed: its streams may end.
    pub(super) fn killed(&mut self, pid: i32) {
        self.killed.insert(pid);
    }

    /// It was not killed after all.
    pub(super) fn spared(&mut self, pid: i32) {
        self.killed.remove(&pid);
    }

    /// A proxy was stopped, starved, or let go again: no time that ran meanwhile counts.
    pub(super) fn disturbed(&mut self, pid: i32) {
        self.disturbed.insert(pid, Instant::now());
    }

    /// The same of the agent.
    pub(super) fn agent_disturbed(&mut self) {
        self.agent_disturbed = Instant::now();
    }

    /// The agent is another one, which knows nothing.
    pub(super) fn agent_lost(&mut self) {
        self.streams.clear();
        self.registered.clear();
        self.complete.fill(false);
        self.agent_disturbed();
    }

    /// What was broken since it was asked last.
    pub(super) fn breaks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.breaks)
    }

    /// Whether a proxy has told every Configuration this: all devices, or none.
    pub(super) fn tells(&self, pid: i32, all: bool) -> bool {
        (0..self.full.len()).all(|config| {
            let none = Vec::new();
            let wanted = if all { &self.full[config] } else { &none };
            let told = |stream: &Stream| {
                stream.pid == pid && stream.config == config && stream.list.as_ref() == Some(wanted)
            };
            self.streams.values().any(told)
        })
    }

    /// The streams, for when something went wrong.
    pub(super) fn show(&self) -> String {
        let mut streams: Vec<String> = self
            .streams
            .values()
            .map(|stream| {
                let list = stream.list.as_ref().map_or("no list".to_owned(), |list| list.len().to_string());
                format!("{}/{}: {list}", stream.pid, stream.config)
            })
            .collect();
        streams.sort();
        streams.join(", ")
    }

    /// Takes in what the agent has seen.
    pub(super) fn take(&mut self, said: Said) {
        match said {
            Said::Registered { socket, pid, endpoint, connectable } => {
                let has_streams = self.streams.values().any(|stream| stream.pid == pid);
                if !self.registered.insert((pid, socket)) && has_streams {
                    self.broken(format!("{endpoint} registered twice while it had streams"));
                }
                if !connectable && !self.killed.contains(&pid) {
                    self.broken(format!("{endpoint} registered before it listened"));
                }
            }
            Said::Opened { stream, config, pid, headers_ms } => {
                self.headers(pid, Duration::from_millis(headers_ms));
                self.streams.insert(stream, Stream { config, pid, list: None });
            }
            // Nobody to connect to, or one that was killed meanwhile.
            Said::Refused { pid, .. } if pid == 0 || self.killed.contains(&pid) => {}
            Said::Refused { config, pid, code, message } => {
                self.broken(format!("proxy {pid} refused Configuration {config}: {code} {message:?}"));
            }
            Said::Listed { stream, ids } => self.listed(stream, ids),
            Said::Ended { stream, code } => {
                let Some(Stream { config, pid, .. }) = self.streams.remove(&stream) else { return };
                if !self.killed.contains(&pid) {
                    self.broken(format!("proxy {pid} ended a stream of Configuration {config} with {code}"));
                }
                self.unite(config);
            }
        }
    }

    fn headers(&mut self, pid: i32, took: Duration) {
        let undisturbed = |at: Option<&Instant>| at.is_none_or(|at| at.elapsed() > took + HEADERS / 2);
        if undisturbed(self.disturbed.get(&pid)) && undisturbed(Some(&self.agent_disturbed)) {
            self.longest_headers = self.longest_headers.max(took);
            if took > HEADERS {
                self.broken(format!("proxy {pid} let headers wait for {} ms", took.as_millis()));
            }
        }
    }

    fn listed(&mut self, id: u64, ids: Vec<String>) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        self.lists += 1;
        let (config, pid) = (stream.config, stream.pid);
        let allowed = ids == self.full[config] || self.expected == Expected::Either && ids.is_empty();
        let told = ids.len();
        stream.list = Some(ids);
        if !allowed {
            let all = self.full[config].len();
            self.broken(format!("proxy {pid} told Configuration {config} {told} of {all} devices"));
        }
        self.unite(config);
    }

    /// The agent unites the lists of all endpoints; brokers live by that.
    fn unite(&mut self, config: usize) {
        let lists = self.streams.values().filter(|stream| stream.config == config);
        let united: HashSet<&str> =
            lists.filter_map(|stream| stream.list.as_ref()).flatten().map(String::as_str).collect();
        let is_full = united.len() == self.full[config].len();
        if self.expected == Expected::Full && self.united && self.complete[config] && !is_full {
            let (found, all) = (united.len(), self.full[config].len());
            self.broken(format!("the united list of Configuration {config} shrank to {found} of {all}"));
        }
        self.complete[config] |= is_full;
    }

    fn broken(&mut self, what: String) {
        self.breaks.push(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(united: bool) -> Contract {
        Contract::new(vec![vec!["a".into(), "b".into()]], united)
    }

    fn open(contract: &mut Contract, stream: u64, pid: i32) {
        contract.take(Said::Registered { socket: 1, pid, endpoint: format!("/{pid}"), connectable: true });
        contract.take(Said::Opened { stream, config: 0, pid, headers_ms: 1 });
        contract.take(Said::Listed { stream, ids: vec!["a".into(), "b".into()] });
        assert!(contract.tells(pid, true));
    }

    #[test]
    fn each_break_is_seen() {
        let registered = |pid| Said::Registered { socket: 1, pid, endpoint: "/x".into(), connectable: true };
        let said: [(Said, &str); 5] = [
            (Said::Listed { stream: 1, ids: vec!["a".into()] }, "1 of 2"),
            (Said::Listed { stream: 1, ids: vec![] }, "0 of 2"),
            (Said::Ended { stream: 1, code: "Unknown".into() }, "ended a stream"),
            (registered(7), "registered twice"),
            (Said::Refused { config: 0, pid: 7, code: "Internal".into(), message: String::new() }, "refused"),
        ];
        for (said, expected) in said {
            let mut contract = contract(false);
            open(&mut contract, 1, 7);
            assert_eq!(contract.breaks(), [""; 0]);
            contract.take(said);
            let breaks = contract.breaks();
            assert!(breaks.len() == 1 && breaks[0].contains(expected), "{breaks:?}");
        }
    }

    #[test]
    fn what_follows_from_a_fault_is_none_unless_another_proxy_should_have_covered_it() {
        let mut alone = contract(false);
        open(&mut alone, 1, 7);
        alone.killed(7);
        alone.take(Said::Ended { stream: 1, code: "Unknown".into() });
        open(&mut alone, 2, 8);
        alone.take(Said::Registered { socket: 2, pid: 8, endpoint: "/x".into(), connectable: true });
        assert_eq!(alone.breaks(), [""; 0]);

        let mut two = contract(true);
        open(&mut two, 1, 7);
        open(&mut two, 2, 8);
        two.killed(7);
        two.take(Said::Ended { stream: 1, code: "Unknown".into() });
        assert_eq!(two.breaks(), [""; 0]);
        two.killed(8);
        two.take(Said::Ended { stream: 2, code: "Unknown".into() });
        assert!(two.breaks()[0].contains("shrank"));
    }

    #[test]
    fn headers_that_wait_count_only_where_nobody_was_disturbed() {
        let mut contract = contract(false);
        contract.agent_disturbed = Instant::now() - Duration::from_secs(60);
        let late = Said::Opened { stream: 1, config: 0, pid: 7, headers_ms: 5000 };
        contract.disturbed(7);
        contract.take(late.clone());
        assert_eq!(contract.breaks(), [""; 0]);
        contract.disturbed.clear();
        contract.take(late);
        assert!(contract.breaks()[0].contains("headers"));
    }
}
