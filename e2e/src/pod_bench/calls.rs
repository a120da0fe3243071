//! Calls and changes, each in turn of the pod, of the floor and of a native handler: what the machine does besides, it does
//! to all of them.

use std::path::Path;
use std::time::{Duration, Instant};

use akri_exchange::layout;
use akri_proxy::pb::discovery_handler_client::DiscoveryHandlerClient;
use anyhow::{Context, ensure};
use tonic::transport::Channel;

use super::floor::Floor;
use super::goals::{self, Goals};
use super::{Bench, Kind};
use crate::measure::{median, next, request};
use crate::say::ms;
use crate::stage::Stage;
use crate::story::{AVAILABILITY, OFFLINE};

/// Numbers of devices, and how many calls are made for each; odd, so that there is a middle one.
const SIZES: [(usize, usize); 3] = [(2, 101), (100, 51), (5000, 21)];
/// Changes of the input.
const TOGGLES: usize = 51;

/// The ids of the devices that [`details`] ask for.
pub(super) fn ids(devices: usize) -> Vec<String> {
    (0..devices).map(|n| format!("device-{n:04}")).collect()
}

/// What asks debugEcho for so many devices.
pub(super) fn details(devices: usize) -> String {
    let lines: Vec<String> = ids(devices).iter().map(|id| format!("- {id}\n")).collect();
    format!("descriptions:\n{}", lines.concat())
}

type Client = DiscoveryHandlerClient<Channel>;

/// Takes the figures and prints them.
pub(super) async fn measure(
    bench: &mut Bench,
    floor: &Floor,
    kind: Kind,
    goals: &mut Goals,
) -> anyhow::Result<()> {
    let mut pod = client(bench.channel.clone());
    let (mut bare, mut native) = (client(floor.bare().await?), client(floor.native().await?));
    let mut rows = Vec::new();
    for (devices, calls) in SIZES {
        let details = details(devices);
        let (mut ours, mut least, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        // One more than is measured: the first call of each is another one.
        for number in 0..=calls {
            // A comment makes it a request that nobody has made yet: the handler itself has to answer.
            let details = format!("{details}# {number}\n");
            for (client, times) in
                [(&mut bare, &mut least), (&mut native, &mut theirs), (&mut pod, &mut ours)]
            {
                times.push(first_response(client, &details, devices).await?);
            }
        }
        let all = [&mut ours, &mut least, &mut theirs].map(|times| {
            times.remove(0);
            median(times)
        });
        let [found, floor, native] = all;
        rows.push(row(format!("Discover to first response, {devices} devices"), &ours, all));
        let what = |than: &str| format!("{}: first response, {devices} devices{than}", kind.name());
        match (devices, kind) {
            (2, _) => goals.time(what(""), found, goals::FEW),
            (5000, Kind::Compiled) => goals.time(what(""), found, goals::MANY),
            _ => {}
        }
        if devices != 5000 || kind == Kind::Compiled {
            goals.time(what(", over the floor"), found, floor * goals::TIMES_FLOOR);
        }
        if devices == 2 || (devices == 5000 && kind == Kind::Compiled) {
            goals.time(what(", beside a native handler"), found, native);
        }
    }
    // What the agent has open already: the proxy alone answers.
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for _ in 0..SIZES[0].1 {
        least.push(first_response(&mut bare, &details(2), 2).await?);
        ours.push(first_response(&mut pod, &details(2), 2).await?);
    }
    let all = [median(&mut ours), median(&mut least), Duration::ZERO];
    rows.push(row("Discover to first response, 2 devices, served already".to_owned(), &ours, all));
    let inputs = bench.stage.exchange()?.join(layout::INPUTS);
    let mut ours = changes(&mut pod, &inputs).await?;
    let mut least = changes(&mut bare, &floor.inputs()).await?;
    let (found, floor) = (median(&mut ours), median(&mut least));
    rows.push(row(
        "change of an input to response, 2 devices".to_owned(),
        &ours,
        [found, floor, Duration::ZERO],
    ));
    goals.time(format!("{}: change to response", kind.name()), found, goals::CHANGE);
    let over = format!("{}: change to response, over the floor", kind.name());
    goals.time(over, found, floor * goals::TIMES_FLOOR);
    bench.say.table(["LATENCY", "N", "MEDIAN", "LEAST", "95 %", "FLOOR", "RATIO", "NATIVE"], &rows);
    bench.say.detail(
        "floor: another process writes and hears of the same answer's file, and sends the same message, which it has ready; \
         native: one reads the details, makes the devices and the message, as Akri's own do",
    );
    Ok(())
}

fn client(channel: Channel) -> Client {
    DiscoveryHandlerClient::new(channel)
}

/// `times` are sorted; of all three the medians.
fn row(what: String, times: &[Duration], [median, floor, native]: [Duration; 3]) -> [String; 8] {
    let at = |share: usize| ms(times[(times.len() - 1) * share / 100]);
    let ratio = format!("{:.1}", median.as_secs_f64() / floor.as_secs_f64().max(f64::EPSILON));
    let native = if native.is_zero() { "-".to_owned() } else { ms(native) };
    [what, times.len().to_string(), ms(median), at(0), at(95), ms(floor), ratio, native]
}

async fn first_response(client: &mut Client, details: &str, devices: usize) -> anyhow::Result<Duration> {
    let request = request(details.to_owned());
    let began = Instant::now();
    let mut stream = client.discover(request).await?.into_inner();
    let found = next(&mut stream).await?;
    let took = began.elapsed();
    ensure!(found == devices, "{found} devices, not {devices}");
    Ok(took)
}

async fn changes(client: &mut Client, inputs: &Path) -> anyhow::Result<Vec<Duration>> {
    let mut stream = client.discover(request(details(2))).await?.into_inner();
    ensure!(next(&mut stream).await? == 2, "not 2 devices");
    let mut times = Vec::new();
    // An odd number and one more, which is not measured: at the end the devices are there again.
    for number in 0..=TOGGLES {
        let (value, wanted) = if number % 2 == 0 { (OFFLINE, 0) } else { ("", 2) };
        let temporary = inputs.join(layout::temporary(AVAILABILITY, "bench"));
        std::fs::write(&temporary, value).with_context(|| format!("cannot write in {}", inputs.display()))?;
        let began = Instant::now();
        std::fs::rename(&temporary, inputs.join(AVAILABILITY))?;
        // A repetition of the last list may come in between.
        while next(&mut stream).await? != wanted {}
        times.push(began.elapsed());
    }
    times.truncate(TOGGLES);
    Ok(times)
}
