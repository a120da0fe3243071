//! What the processes and directories take at one moment.

use anyhow::Context;

use crate::faults::cast::{Actor, status};
use crate::faults::place::Place;
use crate::process::Process;

/// How a figure is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes of memory.
    Memory,
    /// Bytes that also depend on who else has the same libraries in memory: told only.
    Shared,
    /// Things, of which there must not be more.
    Count,
}

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) what: &'static str,
    pub(super) kind: Kind,
    pub(super) value: u64,
}

/// All figures of a moment, always in the same order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample(pub(super) Vec<Figure>);

impl Sample {
    /// Counts.
    pub(super) async fn take(
        place: &Place,
        handler: &Actor,
        proxy: &Actor,
        port: u16,
    ) -> anyhow::Result<Self> {
        let mut sample = Self::default();
        // First what is counted by asking it, which takes descriptors for a moment.
        let state = status(port).await?;
        sample.of_process(
            handler,
            [
                "handler: RSS",
                "handler: anonymous memory",
                "handler: PSS",
                "handler: threads",
                "handler: descriptors",
            ],
        )?;
        sample.of_process(
            proxy,
            ["proxy: RSS", "proxy: anonymous memory", "proxy: PSS", "proxy: threads", "proxy: descriptors"],
        )?;
        sample.count("proxy: inotify watches", proxy.watches()?);
        sample.count("proxy: jobs", state.jobs.len());
        sample.count("proxy: open streams", usize::try_from(state.streams.open)?);
        sample.count("files in the exchange", Place::tree(&place.exchange()).len());
        sample.count("files in akri's directory", Place::tree(&place.akri()).len());
        Ok(sample)
    }

    /// Whether nothing is counted that another one has fewer of.
    pub(super) fn has_no_more_than(&self, other: &Self) -> bool {
        let counts = self.0.iter().zip(&other.0).filter(|(figure, _)| figure.kind == Kind::Count);
        counts.into_iter().all(|(figure, other)| figure.value <= other.value)
    }

    fn of_process(&mut self, actor: &Actor, what: [&'static str; 5]) -> anyhow::Result<()> {
        let process = Process::new("/proc".as_ref(), actor.pid().unsigned_abs());
        let [rss, anonymous, pss, threads, descriptors] = what;
        self.0.push(Figure { what: rss, kind: Kind::Memory, value: process.rss()? });
        self.0.push(Figure { what: anonymous, kind: Kind::Memory, value: process.rolled_up("Anonymous")? });
        self.0.push(Figure { what: pss, kind: Kind::Shared, value: process.rolled_up("Pss")? });
        let count: usize = process.field("Threads")?.parse().context("Threads")?;
        self.count(threads, count);
        self.count(descriptors, actor.descriptors()?);
        Ok(())
    }

    fn count(&mut self, what: &'static str, count: usize) {
        self.0.push(Figure { what, kind: Kind::Count, value: count as u64 });
    }
}
