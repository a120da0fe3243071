//! Prometheus metrics: every name and label stands here.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::state::{Condition, State};

/// A label of one short word.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabel {
    state: &'static str,
}

/// What is counted where it happens. Gauges are taken from [`State`] when somebody asks.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) accepted: Counter,
    refused: Family<Reason, Counter>,
    pub(crate) wakes: Counter,
    pub(crate) messages: Counter,
    /// Seconds from a request put up to its first answer.
    pub(crate) answer_seconds: Histogram,
}

/// Bounds of the latency histogram in seconds: an answer takes 0.3 ms (two devices) to 0.1 s (5,000, interpreted).
const BOUNDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            accepted: Counter::default(),
            refused: Family::default(),
            wakes: Counter::default(),
            messages: Counter::default(),
            answer_seconds: Histogram::new(BOUNDS),
        }
    }

    /// Counts a refused message of the handler.
    pub(crate) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// The page that Prometheus reads (OpenMetrics text).
    pub(crate) fn page(&self, state: &State) -> String {
        let mut registry = Registry::with_prefix("akri_proxy");
        registry.register(
            "answers_accepted",
            "Answers of the handler that were taken",
            self.accepted.clone(),
        );
        registry.register(
            "answers_refused",
            "Messages of the handler that break a rule",
            self.refused.clone(),
        );
        registry.register("wakes", "Wake-ups of the handler", self.wakes.clone());
        registry.register("responses", "Device lists told to the agent", self.messages.clone());
        registry.register(
            "answer_seconds",
            "From a request to its first answer, in seconds",
            self.answer_seconds.clone(),
        );
        let gauge = |registry: &mut Registry, name: &str, help: &str, value: u64| {
            let gauge: Gauge<u64, AtomicU64> = Gauge::default();
            gauge.set(value);
            registry.register(name, help, gauge);
        };
        gauge(&mut registry, "streams", "Open Discover streams", state.streams.open);
        gauge(&mut registry, "streams_waiting", "Open streams without a list yet", state.streams.waiting);
        gauge(&mut registry, "jobs", "Discovery jobs", state.jobs.len() as u64);
        let devices = state.jobs.iter().filter_map(|job| job.devices).sum::<usize>();
        gauge(&mut registry, "devices", "Devices told to the agent, over all jobs", devices as u64);
        gauge(
            &mut registry,
            "registered",
            "1 while the agent knows this proxy",
            state.registration.registered.into(),
        );
        let counter = |registry: &mut Registry, name: &str, help: &str, value: u64| {
            let counter: Counter = Counter::default();
            counter.inc_by(value);
            registry.register(name, help, counter);
        };
        counter(&mut registry, "registrations", "Registrations with the agent", state.registration.count);
        counter(&mut registry, "handler_restarts", "Restarts of the handler", state.handler.restarts);
        counter(&mut registry, "streams_opened", "Discover streams ever opened", state.streams.total);
        let conditions: Family<ConditionLabel, Gauge> = Family::default();
        for condition in [Condition::Absent, Condition::Alive, Condition::Hung, Condition::Gone] {
            let label = ConditionLabel { state: condition.as_str() };
            conditions.get_or_create(&label).set((state.handler.condition == condition).into());
        }
        registry.register("handler_state", "1 for the state that the handler is in", conditions);
        let mut page = String::new();
        encode(&mut page, &registry).expect("writing to a String cannot fail");
        page
    }
}
