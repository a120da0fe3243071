//! Memory, and wake-ups while nothing happens.

use std::time::Duration;

use anyhow::Context;

use super::goals::{self, Goals};
use super::{Bench, Kind};
use crate::measure::{TOLD_AGAIN, switches};
use crate::say::bytes;
use crate::stage::{Part, Stage};

/// Takes the figures of a pod that has told a list of 2 devices and nothing else, and prints them.
pub(super) async fn at_rest(
    bench: &mut Bench,
    idle: Duration,
    kind: Kind,
    goals: &mut Goals,
) -> anyhow::Result<()> {
    // The agent is told twice again.
    tokio::time::sleep(TOLD_AGAIN).await;
    let (handler, proxy) =
        (bench.stage.process(Part::Handler).await?, bench.stage.process(Part::Proxy).await?);
    let wakes = switches([&handler, &proxy], idle).await?;
    bench.say.detail(format_args!(
        "voluntary switches in {} s idle: handler {}, proxy {}",
        idle.as_secs(),
        wakes[0],
        wakes[1]
    ));
    let pod = memory(bench, "with 2 devices").await?;
    goals.memory(format!("{}: the proxy's RSS", kind.name()), proxy.rss()?, goals::PROXY_BYTES);
    goals.memory(format!("{}: working set of both", kind.name()), pod, goals::POD_BYTES);
    goals.count(
        format!("{}: switches of both, {} s idle", kind.name(), idle.as_secs()),
        wakes[0] + wakes[1],
        0,
    );
    Ok(())
}

/// Prints what both take; the working set of both together.
pub(super) async fn memory(bench: &mut Bench, when: &str) -> anyhow::Result<u64> {
    let (mut rows, mut pod) = (Vec::new(), 0);
    for part in [Part::Handler, Part::Proxy] {
        let process = bench.stage.process(part).await?;
        let (usage, working_set) =
            bench.stage.charged(part).await?.context("nobody counts the pod's memory")?;
        pod += working_set;
        rows.push([
            format!("{}, {when}", part.name()),
            bytes(process.rss()?),
            bytes(process.pss()?),
            bytes(usage),
            bytes(working_set),
        ]);
    }
    bench.say.table(["MEMORY", "RSS", "PSS", "CGROUP USAGE", "WORKING SET"], &rows);
    Ok(pod)
}
