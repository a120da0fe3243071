//! Instructions of a look: by the engine's own count, which is the same on every machine and under any load.
//!
//! The engine says the sum when the handler ends. So the handler is run twice, as a process beside a proxy, and looks more
//! often the second time.

use std::path::{Path, PathBuf};

use akri_proxy::pb::discovery_handler_client::DiscoveryHandlerClient;
use anyhow::Context;
use serde_json::json;

use super::growth::{self, Folder};
use super::{Args, LIMIT, looks};
use crate::manifest::DaemonSet;
use crate::measure::{next, request};
use crate::process_stage::{ProcessStage, Programs};
use crate::say::Say;
use crate::stage::{Part, Stage};
use crate::{uds, wait};

/// Looks of the two runs.
const LOOKS: [u64; 2] = [1, 6];
/// The proxy's variable for directories that wake the handler: these are not to.
const WAKE_ON: &str = "WAKE_ON";
/// Before the number, on one of the last lines that the engine prints.
const COUNT: &str = "instructions count:";

/// Counts, and prints.
pub(super) async fn measure(args: &Args, say: &Say) -> anyhow::Result<()> {
    say.step("instructions of a look, the handler interpreted, as the engine counts them");
    let mut rows = Vec::new();
    for rule in looks::RULES {
        let (devices, count) = look(args, Path::new("/"), ["sys", "run/udev"], rule).await?;
        rows.push([rule.to_owned(), devices.to_string(), count.to_string()]);
    }
    say.table(["RULE, ON THE MACHINE'S OWN DEVICES", "FOUND", "INSTRUCTIONS"], &rows);

    let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let mut folder = Folder::new(place.path().join("machine"))?;
    let (mut rows, mut each) = (Vec::new(), growth::RULES.map(|_| Vec::new()));
    for size in growth::SIZES {
        folder.grow(size).context("cannot write the folder")?;
        for (rule, each) in growth::RULES.into_iter().zip(&mut each) {
            let root = place.path().join("machine");
            let (devices, count) = look(args, &root, ["sys", "udev"], rule).await?;
            let a_device = count as f64 / size as f64;
            each.push(a_device);
            rows.push([
                size.to_string(),
                rule.to_owned(),
                devices.to_string(),
                count.to_string(),
                format!("{a_device:.0}"),
            ]);
        }
    }
    say.table(["DEVICES", "RULE", "FOUND", "INSTRUCTIONS", "A DEVICE"], &rows);
    for (rule, each) in growth::RULES.into_iter().zip(each) {
        say.detail(rule);
        say.detail(growth::verdict("takes", "the instructions of", each[0], each[each.len() - 1]));
    }
    Ok(())
}

/// What a look finds, and its instructions.
async fn look(args: &Args, root: &Path, below: [&str; 2], rule: &str) -> anyhow::Result<(usize, u64)> {
    let [sys, udev] = below.map(|name| root.join(name));
    let (_, few) = run(args, (&sys, &udev), rule, LOOKS[0]).await?;
    let (devices, more) = run(args, (&sys, &udev), rule, LOOKS[1]).await?;
    Ok((devices, more.saturating_sub(few) / (LOOKS[1] - LOOKS[0])))
}

/// What so many looks find, and the instructions of the handler from its start to its end.
async fn run(args: &Args, places: (&Path, &Path), rule: &str, looks: u64) -> anyhow::Result<(usize, u64)> {
    let mut set = DaemonSet::udev()?;
    for container in &mut set.spec.template.spec.containers {
        container.env.retain(|env| env.name != WAKE_ON);
    }
    let wasmedge = args.scripts.join("wasmedge");
    let programs = Programs { wasmedge, proxy: args.proxy.clone().into(), module: args.module.clone() };
    let mut engine = vec!["--enable-instruction-count".to_owned()];
    for (guest, host) in [("/sys", places.0), ("/run/udev", places.1)] {
        // udev's database may be missing, and the engine opens what it is told to.
        if host.is_dir() {
            engine.extend(["--dir".to_owned(), format!("{guest}:{}", host.display())]);
        }
    }
    let mut stage = ProcessStage::of(programs, set, engine)?;
    stage.start(Part::Handler)?;
    stage.start(Part::Proxy)?;
    // No agent is needed: the proxy listens before it registers.
    let listens = async || Ok(stage.status().await.ok().and_then(|state| state.endpoint));
    let endpoint = wait::until("the proxy listens", LIMIT, listens).await?;
    let file = Path::new(&endpoint).file_name().map(PathBuf::from).context("the endpoint is no socket")?;
    let mut client = DiscoveryHandlerClient::new(uds::connect(&stage.akri().join(file)).await?);
    let mut devices = 0;
    for number in 0..looks {
        let details = json!({ "udevRules": [rule], "bench": number }).to_string();
        devices = next(&mut client.discover(request(details)).await?.into_inner()).await?;
    }
    drop(client);
    stage.leave().await?;
    let said = stage.said(Part::Handler);
    let line = said.lines().rev().find_map(|line| line.split_once(COUNT));
    let (_, count) = line.with_context(|| format!("the engine says no count: {said}"))?;
    Ok((devices, count.trim().parse().context("the engine's count is no number")?))
}
