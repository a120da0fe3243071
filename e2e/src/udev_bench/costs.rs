//! System calls of a look, wake-ups and memory.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::{Bench, LIMIT};
use crate::measure::{IDLE, TOLD_AGAIN, next, request};
use crate::process::Process;
use crate::say::bytes;
use crate::stage::{Part, Stage};

/// The rule whose look is traced.
const RULE: &str = r#"SUBSYSTEM=="block""#;

pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    match traced(bench).await? {
        Some(calls) => bench
            .say
            .detail(format_args!("system calls of the handler for a look by {RULE}, by strace: {calls}")),
        None => bench.say.detail("system calls are not counted: there is no strace"),
    }
    // The streams of the looks are closed by now; what is open is the agent's, which is told twice again.
    tokio::time::sleep(TOLD_AGAIN).await;
    let (handler, proxy) =
        (bench.stage.process(Part::Handler).await?, bench.stage.process(Part::Proxy).await?);
    let before = (handler.voluntary_switches()?, proxy.voluntary_switches()?);
    tokio::time::sleep(IDLE).await;
    let wakes = (handler.voluntary_switches()? - before.0, proxy.voluntary_switches()? - before.1);
    let mut rows = Vec::new();
    for (part, process, wakes) in [(Part::Handler, handler, wakes.0), (Part::Proxy, proxy, wakes.1)] {
        let charged = bench.stage.charged(part).await?;
        let of = |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), bytes);
        rows.push([
            part.name().to_owned(),
            bytes(process.rss()?),
            of(charged.map(|charged| charged.0)),
            of(charged.map(|charged| charged.1)),
            wakes.to_string(),
        ]);
    }
    bench.say.table(["PART", "RSS", "CGROUP USAGE", "WORKING SET", "VOLUNTARY SWITCHES IN 10 S"], &rows);
    Ok(())
}

/// How many system calls the handler makes from a request to its answer; `None` without strace.
async fn traced(bench: &mut Bench) -> anyhow::Result<Option<u64>> {
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
        let details = json!({ "udevRules": [RULE], "bench": "traced" }).to_string();
        next(&mut bench.client().discover(request(details)).await?.into_inner()).await?;
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
