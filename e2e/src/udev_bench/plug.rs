//! From plugging in to the agent: udevd's time, and ours.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::fs::inotify;

use super::{Bench, LIMIT};
use crate::loops::Loops;
use crate::measure::{median, next, request};
use crate::say::ms;

/// How often; odd, so that there is a middle one.
const PLUGS: usize = 51;
/// The device's number.
const NUMBER: usize = 4500;
/// Between two, as between two of a person's: longer than a burst is listened to.
const PAUSE: Duration = Duration::from_millis(100);
/// The proxy's metrics; there is no HTTP client on the node.
const READ_METRICS: &str = r#"exec 3<>"/dev/tcp/$1/9181"; printf 'GET /metrics HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n' >&3; cat <&3"#;
/// The metric of wake-ups.
const WAKES: &str = "akri_proxy_wakes_total ";
/// Files that are being written.
const TEMPORARY_PREFIX: u8 = b'.';

pub(super) async fn measure(bench: &mut Bench, loops: &Loops) -> anyhow::Result<()> {
    // Twice: the first makes udev's directory.
    for _ in 0..2 {
        loops.plug(NUMBER)?;
        bench.stage.node.exec(&["udevadm", "settle", "--timeout=10"]).await?;
        loops.unplug(NUMBER)?;
    }
    let records = records(bench)?;
    let details = format!("udevRules: ['SUBSYSTEM==\"block\", KERNEL==\"loop{NUMBER}\"']");
    let mut stream = bench.client().discover(request(details)).await?.into_inner();
    until(&mut stream, 0).await?;
    let before = bench.looks().await?;
    let (mut theirs, mut ours, mut all, mut gone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PLUGS {
        tokio::time::sleep(PAUSE).await;
        while records.try_recv().is_ok() {}
        let plugged = Instant::now();
        loops.plug(NUMBER)?;
        until(&mut stream, 1).await?;
        let told = Instant::now();
        let record = records.recv_timeout(LIMIT).context("udevd wrote no record")?;
        theirs.push(record - plugged);
        ours.push(told - record);
        all.push(told - plugged);

        tokio::time::sleep(PAUSE).await;
        while records.try_recv().is_ok() {}
        loops.unplug(NUMBER)?;
        until(&mut stream, 0).await?;
        let told = Instant::now();
        gone.push(told - records.recv_timeout(LIMIT).context("udevd removed no record")?);
    }
    tokio::time::sleep(PAUSE).await;
    let looks = bench.looks().await? - before;
    let row = |what: &str, mut times: Vec<Duration>| {
        let middle = median(&mut times);
        let at = |share: usize| ms(times[(times.len() - 1) * share / 100]);
        [what.to_owned(), times.len().to_string(), ms(middle), at(0), at(95)]
    };
    bench.say.table(
        ["A LOOP DEVICE IS PLUGGED IN", "N", "MEDIAN", "LEAST", "95 %"],
        &[
            row("until the kernel has made it and udevd written its record", theirs),
            row("from then until the agent has the list: ours", ours),
            row("together", all),
            row("taken away: from the record's removal until the agent has the list", gone),
        ],
    );
    bench.say.detail(format_args!("looks of the handler: {looks} for {} changes", 2 * PLUGS));
    Ok(())
}

impl Bench {
    /// How often the proxy has woken the handler: its own metric, read on the node.
    async fn looks(&mut self) -> anyhow::Result<u64> {
        let pod = self.stage.inspect_pod().await?;
        let address = pod.status.network.context("the pod has no address")?.ip;
        let read = self.stage.node.exec(&["bash", "-ec", READ_METRICS, "bash", &address]).await?;
        let line =
            read.lines().find_map(|line| line.strip_prefix(WAKES)).context("there is no such metric")?;
        Ok(line.trim().parse()?)
    }
}

type Stream = tonic::Streaming<akri_proxy::pb::DiscoverResponse>;

/// Waits for a list of so many devices.
async fn until(stream: &mut Stream, count: usize) -> anyhow::Result<()> {
    let reading = async {
        while next(stream).await? != count {}
        anyhow::Ok(())
    };
    tokio::time::timeout(LIMIT, reading).await.context("the device is not seen")?
}

/// When records came into place or went, as a thread of its own hears it: nobody keeps it from its processor.
fn records(bench: &Bench) -> anyhow::Result<mpsc::Receiver<Instant>> {
    let folder = bench.places.udev.join("data");
    let inotify = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&inotify, &folder, inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::DELETE)
        .with_context(|| format!("cannot watch {}", folder.display()))?;
    let (sender, records) = mpsc::channel();
    let listen = move || -> anyhow::Result<()> {
        let mut room = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&inotify, &mut room);
        loop {
            let event = reader.next()?;
            let heard = Instant::now();
            let name = event.file_name().map(|name| name.to_bytes()).unwrap_or_default();
            if name.first() != Some(&TEMPORARY_PREFIX) && sender.send(heard).is_err() {
                bail!("nobody listens any more");
            }
        }
    };
    // It ends with the program, or when nobody listens.
    std::thread::spawn(listen);
    Ok(records)
}
