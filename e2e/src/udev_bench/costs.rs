//! System calls of a look, wake-ups and memory.

use std::path::Path;
use std::process::Stdio;

use akri_exchange::layout;
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::{Bench, LIMIT, looks};
use crate::measure::{IDLE, TOLD_AGAIN, next, request, switches};
use crate::process::Process;
use crate::say::bytes;
use crate::stage::{Part, Stage};
use crate::wait;

/// The rule whose look is traced.
const RULE: &str = r#"SUBSYSTEM=="block""#;

/// Looks of each rule that are traced, of which the least counts: a wake-up that is none of the look's may fall into one.
const TRACES: usize = 5;

pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    for rule in [looks::NOTHING, RULE] {
        let mut least = None;
        for _ in 0..TRACES {
            least = least.into_iter().chain(traced(bench, rule).await?).min();
        }
        match least {
            Some(calls) => bench
                .say
                .detail(format_args!("system calls of the handler for a look by {rule}, by strace: {calls}")),
            None => bench.say.detail("system calls are not counted: there is no strace"),
        }
    }
    // The streams of the looks are closed by now; what is open is the agent's, which is told twice again.
    tokio::time::sleep(TOLD_AGAIN).await;
    let (handler, proxy) =
        (bench.stage.process(Part::Handler).await?, bench.stage.process(Part::Proxy).await?);
    let wakes = switches([&handler, &proxy], IDLE).await?;
    bench.say.detail(format_args!("voluntary switches in 10 s: handler {}, proxy {}", wakes[0], wakes[1]));
    memory(bench).await
}

/// Memory as it is now.
pub(super) async fn memory(bench: &mut Bench) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for part in [Part::Handler, Part::Proxy] {
        let process = bench.stage.process(part).await?;
        let charged = bench.stage.charged(part).await?;
        let of = |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), bytes);
        rows.push([
            part.name().to_owned(),
            bytes(process.rss()?),
            of(charged.map(|charged| charged.0)),
            of(charged.map(|charged| charged.1)),
        ]);
    }
    bench.say.table(["PART", "RSS", "CGROUP USAGE", "WORKING SET"], &rows);
    Ok(())
}

/// How many system calls the handler makes from a request to its answer; `None` without strace.
pub(super) async fn traced(bench: &mut Bench, rule: &str) -> anyhow::Result<Option<u64>> {
    // The agent's own request alone: that one is taken away wakes the handler, and that is none of the look.
    let exchange = bench.stage.exchange()?;
    let alone = async || Ok((requests(&exchange)? == 1).then_some(()));
    wait::until("earlier requests are gone", LIMIT, alone).await?;
    let process = bench.stage.process(Part::Handler).await?;
    let pid = here(&process)?.context("the handler is not found on this machine")?;
    let spawned = Command::new("strace")
        .args(["--follow-forks", "--summary-only", "--attach", &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut strace) = spawned else { return Ok(None) };
    let mut lines = BufReader::new(strace.stderr.take().context("strace's stderr is not piped")?).lines();
    let mut calls = None;
    let tracing = async {
        // "strace: Process 123 attached"
        while !lines.next_line().await?.context("strace has ended")?.ends_with("attached") {}
        // The process says what is a request that nobody has made yet.
        let details = json!({ "udevRules": [rule], "bench": ["traced", strace.id()] }).to_string();
        // Held to the end: that nobody listens any more would wake the handler once more.
        let mut stream = bench.client().discover(request(details)).await?.into_inner();
        next(&mut stream).await?;
        let id = strace.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(id.context("strace has ended")?, Signal::INT)?;
        // The last line: share, seconds, microseconds a call, calls, errors, "total".
        while let Some(line) = lines.next_line().await? {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.last() == Some(&"total") {
                calls = words.get(3).and_then(|calls| calls.parse().ok());
            }
        }
        strace.wait().await?;
        anyhow::Ok(())
    };
    tokio::time::timeout(LIMIT, tracing).await.context("strace takes too long")??;
    Ok(Some(calls.context("strace says no sum")?))
}

/// How many requests are in the exchange.
fn requests(exchange: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for folder in std::fs::read_dir(exchange.join(layout::REQUESTS))? {
        for file in std::fs::read_dir(folder?.path())? {
            count += usize::from(file?.file_name().to_str().and_then(layout::request_id).is_some());
        }
    }
    Ok(count)
}

/// A process of the node by its number on this machine: the one that began at the same time under that number there.
fn here(process: &Process) -> anyhow::Result<Option<u32>> {
    let (numbers, name) = (process.field("NSpid")?, process.field("Name")?);
    // As the node sees it: its number there, and in its container.
    let wanted: Vec<&str> = numbers.split_whitespace().collect();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let candidate = Process::new(Path::new("/proc"), pid);
        let (Ok(numbers), Ok(other)) = (candidate.field("NSpid"), candidate.field("Name")) else { continue };
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        if other == name
            && numbers.len() > wanted.len()
            && numbers.ends_with(&wanted)
            && candidate.maps("libwasmedge").unwrap_or(false)
        {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}
