//! Figures: memory, wake-ups, latencies.

use std::path::Path;
use std::time::{Duration, Instant};

use akri_exchange::layout;
use akri_proxy::pb::discovery_handler_client::DiscoveryHandlerClient;
use akri_proxy::pb::registration_client::RegistrationClient;
use akri_proxy::pb::{DiscoverRequest, DiscoverResponse, RegisterDiscoveryHandlerRequest};
use anyhow::{Context, bail};
use rustix::fs::inotify;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use crate::process::Process;
use crate::say::{Say, bytes, ms};
use crate::stage::{Part, Stage};
use crate::story::{AVAILABILITY, LIMIT, OFFLINE};
use crate::uds;

/// Discover calls; odd, so that there is a middle one.
const CALLS: usize = 101;
/// Changes of the input.
const TOGGLES: usize = 51;
/// How long both are watched doing nothing.
pub(crate) const IDLE: Duration = Duration::from_secs(10);
/// After a stream's first list the proxy says it again twice, the second time after 10 s: until then it is not idle.
pub(crate) const TOLD_AGAIN: Duration = Duration::from_secs(11);

/// Takes all figures and prints them. `first_list` is when the stream that is open got its first list.
///
/// # Errors
/// Where something cannot be measured.
pub async fn measure(
    stage: &mut impl Stage,
    details: &str,
    first_list: Option<Instant>,
    say: &Say,
) -> anyhow::Result<()> {
    say.step(format_args!("measuring: {CALLS} Discover calls, {TOGGLES} changes, {} s idle", IDLE.as_secs()));
    let channel = channel(stage).await?;
    let mut client = DiscoveryHandlerClient::new(channel.clone());

    let mut nothing = RegistrationClient::new(channel);
    let (mut fresh, mut shared, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..CALLS {
        floor.push(refused(&mut nothing).await?);
        // A comment makes it a request that nobody has made yet: the handler itself has to answer.
        fresh.push(first_response(&mut client, format!("{details}\n# {number}\n")).await?);
        shared.push(first_response(&mut client, details.to_owned()).await?);
    }
    let changes = changes(stage, &mut client, details).await?;
    drop((client, nothing));
    let mut told = told_by_the_kernel()?;

    if let Some(first) = first_list {
        tokio::time::sleep(TOLD_AGAIN.saturating_sub(first.elapsed())).await;
    }
    let (handler, proxy) = (stage.process(Part::Handler).await?, stage.process(Part::Proxy).await?);
    let wakes = switches([&handler, &proxy], IDLE).await?;

    let mut rows = Vec::new();
    for (part, process, wakes) in [(Part::Handler, handler, wakes[0]), (Part::Proxy, proxy, wakes[1])] {
        let charged = stage.charged(part).await?;
        let of = |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), bytes);
        rows.push([
            part.name().to_owned(),
            bytes(process.rss()?),
            of(charged.map(|charged| charged.0)),
            of(charged.map(|charged| charged.1)),
            wakes.to_string(),
        ]);
    }
    say.table(["PART", "RSS", "CGROUP USAGE", "WORKING SET", "VOLUNTARY SWITCHES IN 10 S"], &rows);
    let (call, event) = (median(&mut floor), median(&mut told));
    // The floor of each: what gRPC and the kernel take in this very run, on this machine, with nobody thinking.
    let row = |what: &str, mut times: Vec<Duration>, floor: Duration| {
        let middle = median(&mut times);
        let at = |share: usize| ms(times[(times.len() - 1) * share / 100]);
        let ratio = format!("{:.1}", middle.as_secs_f64() / floor.as_secs_f64().max(f64::EPSILON));
        [what.to_owned(), times.len().to_string(), ms(middle), at(0), at(95), ms(floor), ratio]
    };
    say.table(
        ["LATENCY", "N", "MEDIAN", "LEAST", "95 %", "FLOOR", "RATIO"],
        &[
            row("Discover to first response, a new request", fresh, call),
            row("Discover to first response, a request that is served already", shared, call),
            row("change of an input to response", changes, event + call),
        ],
    );
    say.detail("floor: the median of gRPC calls that are refused at once; for changes, with that of a file's inotify event");
    Ok(())
}

/// The agent's way to the proxy.
pub(crate) async fn channel(stage: &mut impl Stage) -> anyhow::Result<Channel> {
    let endpoint = stage.status().await?.endpoint.context("the proxy has no endpoint")?;
    let file = Path::new(&endpoint).file_name().context("the endpoint is no socket")?;
    uds::connect(&stage.akri().join(file)).await
}

/// How often each of two processes gives the processor away in that time.
pub(crate) async fn switches(both: [&Process; 2], time: Duration) -> anyhow::Result<[u64; 2]> {
    let [one, other] = both;
    let before = [one.voluntary_switches()?, other.voluntary_switches()?];
    tokio::time::sleep(time).await;
    Ok([one.voluntary_switches()? - before[0], other.voluntary_switches()? - before[1]])
}

/// The one in the middle; sorts them.
pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn first_response(
    client: &mut DiscoveryHandlerClient<Channel>,
    details: String,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut stream = client.discover(request(details)).await?.into_inner();
    let devices = next(&mut stream).await?;
    let took = began.elapsed();
    if devices == 0 {
        bail!("the handler has no devices");
    }
    Ok(took)
}

/// A call of a service that the proxy does not have: what gRPC, the socket and two processes cost by themselves.
pub(crate) async fn refused(client: &mut RegistrationClient<Channel>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    match client.register_discovery_handler(RegisterDiscoveryHandlerRequest::default()).await {
        Err(status) if status.code() == Code::Unimplemented => Ok(began.elapsed()),
        other => bail!("a handler should not take registrations: {other:?}"),
    }
}

/// The same change in a directory that nobody else watches: what the kernel costs.
fn told_by_the_kernel() -> anyhow::Result<Vec<Duration>> {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let inotify = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&inotify, folder.path(), inotify::WatchFlags::MOVED_TO)?;
    let mut events = [0; 1024];
    let change = |number| {
        let temporary = folder.path().join(layout::temporary(AVAILABILITY, "e2e"));
        std::fs::write(&temporary, if number % 2 == 0 { OFFLINE } else { "" })?;
        let began = Instant::now();
        std::fs::rename(&temporary, folder.path().join(AVAILABILITY))?;
        rustix::io::read(&inotify, &mut events)?;
        Ok(began.elapsed())
    };
    (0..TOGGLES).map(change).collect()
}

async fn changes(
    stage: &mut impl Stage,
    client: &mut DiscoveryHandlerClient<Channel>,
    details: &str,
) -> anyhow::Result<Vec<Duration>> {
    let inputs = stage.exchange()?.join(layout::INPUTS);
    let write = |value: &str| {
        let temporary = inputs.join(layout::temporary(AVAILABILITY, "e2e"));
        std::fs::write(&temporary, value)?;
        let now = Instant::now();
        std::fs::rename(&temporary, inputs.join(AVAILABILITY))?;
        Ok::<_, std::io::Error>(now)
    };
    let mut stream = client.discover(request(details.to_owned())).await?.into_inner();
    let all = next(&mut stream).await?;
    let mut times = Vec::new();
    for number in 0..=TOGGLES {
        let (value, wanted) = if number % 2 == 0 { (OFFLINE, 0) } else { ("", all) };
        let began = write(value).with_context(|| format!("cannot write in {}", inputs.display()))?;
        // A repetition of the last list may come in between.
        while next(&mut stream).await? != wanted {}
        times.push(began.elapsed());
    }
    // One more than measured, so that the devices are there again.
    times.truncate(TOGGLES);
    Ok(times)
}

pub(crate) fn request(discovery_details: String) -> DiscoverRequest {
    DiscoverRequest { discovery_details, discovery_properties: Default::default() }
}

/// The number of devices in the next list.
pub(crate) async fn next(stream: &mut Streaming<DiscoverResponse>) -> anyhow::Result<usize> {
    let message = tokio::time::timeout(LIMIT, stream.message()).await.context("no list in time")??;
    Ok(message.context("the stream has ended")?.devices.len())
}
