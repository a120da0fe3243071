//! What the proxy knows of itself, in one place: the tasks write their part, health, registration and `status` read it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::policy::Policy;

/// How the proxy is; also what `akri-proxy status -o json` prints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The proxy's version.
    pub version: String,
    /// The name that is registered with the agent.
    pub name: Option<String>,
    /// Where the agent finds the proxy.
    pub endpoint: Option<String>,
    /// This proxy's number among those of its exchange.
    pub proxy: u32,
    /// The handler.
    pub handler: HandlerState,
    /// The registration with the agent.
    pub registration: RegistrationState,
    /// Discover streams.
    pub streams: StreamState,
    /// Discovery jobs, by id.
    pub jobs: Vec<JobState>,
    /// What the handler may hand out; absent where no proxy runs.
    #[serde(default)]
    pub policy: Option<Arc<Policy>>,
}

/// What is known of the handler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HandlerState {
    /// Whether it lives.
    pub condition: Condition,
    /// The name that it announced.
    pub name: Option<String>,
    /// The version that it announced.
    pub version: Option<String>,
    /// Whether its devices are shared between nodes.
    pub shared: bool,
    /// How often it was started again while this proxy looked on.
    pub restarts: u64,
}

/// Whether a handler lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It has not announced itself yet.
    #[default]
    Absent,
    /// It holds its FIFO open and answers.
    Alive,
    /// It holds its FIFO open, but owes an answer for longer than allowed.
    Hung,
    /// It died or left: nobody reads its FIFO.
    Gone,
}

impl Condition {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Condition::Absent => "absent",
            Condition::Alive => "alive",
            Condition::Hung => "hung",
            Condition::Gone => "gone",
        }
    }
}

/// How far the registration with the agent is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RegistrationState {
    /// Whether the agent that is there now knows this proxy.
    pub registered: bool,
    /// How often the proxy has registered.
    pub count: u64,
    /// Why the last try failed.
    pub error: Option<String>,
}

/// The streams that the agent holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamState {
    /// Open streams.
    pub open: u64,
    /// Those of them that were not told a list yet.
    pub waiting: u64,
    /// All streams that were ever opened.
    pub total: u64,
}

/// One discovery job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobState {
    /// SHA-256 of details and properties.
    pub id: String,
    /// Streams of this proxy that it serves.
    pub streams: usize,
    /// Devices that the agent was told of; absent before the first list.
    pub devices: Option<usize>,
    /// The handler's last failure, if it has not given a list since.
    pub error: Option<Arc<str>>,
}

/// How long after a registration the proxy is ready: the time in which the agent opens its streams.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);

/// The state, for all tasks to share.
#[derive(Clone, Debug)]
pub(crate) struct Shared(watch::Sender<State>);

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self(watch::Sender::new(state))
    }

    /// Changes the state; who waits for changes is woken only where it really differs.
    pub(crate) fn update(&self, change: impl FnOnce(&mut State)) {
        self.0.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }

    pub(crate) fn current(&self) -> State {
        self.0.borrow().clone()
    }
}
