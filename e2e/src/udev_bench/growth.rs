//! How looks grow with the devices: a machine in a folder on the node, with more and more of them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use akri_sysfs::Places;
use anyhow::{Context, bail};
use prost::Message;
use serde_json::json;

use super::{Bench, LIMIT, costs, looks};
use crate::manifest::{DaemonSet, Env, Volume, VolumeMount, VolumeSource};
use crate::measure::{median, request};
use crate::node::Node;
use crate::say::{bytes, ms};

/// How many devices there are, one after the other.
pub(super) const SIZES: [usize; 4] = [500, 1_000, 2_000, 5_000];
/// Looks of each rule at each size; odd, so that there is a middle one.
const LOOKS: usize = 5;
/// A rule whose answer has every device, and one that reads every file there is for an answer with one.
pub(super) const RULES: [&str; 2] =
    [r#"SUBSYSTEM=="gadget""#, r#"SUBSYSTEM=="gadget", ENV{ID_SERIAL}=="S7""#];
/// How many devices the answers have.
const FOUND: [fn(usize) -> usize; 2] = [|all| all, |_| 1];
/// By how much a device among the most may cost more than one among the fewest where costs grow evenly: what is ordered takes
/// a little longer for each when there are more, and caches are only so large.
const EVEN: f64 = 1.5;
/// Devices hang on so many buses.
const BUSES: usize = 97;
/// Where the folder is on the node: in its memory.
const FOLDER: &str = "/run/akri-wasm-bench";
/// Where the handler has it.
const MOUNTED: &str = "/fixture";
/// The folder's volume.
const VOLUME: &str = "fixture";
const HEADINGS: [&str; 8] =
    ["DEVICES", "MEDIAN", "LEAST", "A DEVICE", "NATIVE FLOOR", "RATIO", "SYSTEM CALLS A DEVICE", "ANSWER"];

/// The DaemonSet with a handler that looks at the folder.
pub(super) fn on_folder(mut set: DaemonSet) -> DaemonSet {
    let pod = &mut set.spec.template.spec;
    let source = VolumeSource::HostPath { path: FOLDER.to_owned(), kind: "DirectoryOrCreate".to_owned() };
    pod.volumes.push(Volume { name: VOLUME.to_owned(), source });
    let handler = &mut pod.containers[0];
    let (name, mount_path) = (VOLUME.to_owned(), MOUNTED.to_owned());
    handler.volume_mounts.push(VolumeMount { name, mount_path, read_only: true });
    for (name, below) in [("SYSFS_DIRECTORY", "sys"), ("UDEV_DIRECTORY", "udev")] {
        handler.env.push(Env { name: name.to_owned(), value: format!("{MOUNTED}/{below}") });
    }
    set
}

/// The folder, as seen from here.
pub(super) struct Folder {
    root: PathBuf,
    devices: usize,
}

impl Folder {
    /// A folder on the node.
    pub(super) fn on(node: &Node) -> anyhow::Result<Self> {
        Self::new(node.file(FOLDER)?)
    }

    /// A folder without devices; whatever was in it is gone.
    pub(super) fn new(root: PathBuf) -> anyhow::Result<Self> {
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", root.display()));
            }
            _ => {}
        }
        for folder in ["sys/bus", "sys/class/gadget", "sys/devices", "udev/data"] {
            fs::create_dir_all(root.join(folder))?;
        }
        Ok(Self { root, devices: 0 })
    }

    pub(super) fn places(&self) -> Places {
        Places { sys: self.root.join("sys"), udev: self.root.join("udev") }
    }

    /// Plugs in what is missing to so many devices, each with a node, and with a record.
    pub(super) fn grow(&mut self, devices: usize) -> io::Result<()> {
        for number in self.devices..devices {
            let (name, bus) = (format!("gadget{number}"), number % BUSES);
            let path = format!("devices/platform/bus{bus}/{name}");
            let (major, minor) = (240 + number / 256, number % 256);
            let folder = self.root.join("sys").join(&path);
            fs::create_dir_all(&folder)?;
            let kernel = format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\n");
            fs::write(folder.join("uevent"), kernel)?;
            let record = format!("I:1000\nE:ID_SERIAL=S{number}\nE:ID_BUS=usb\nG:systemd\nQ:systemd\nV:1\n");
            fs::write(self.root.join(format!("udev/data/c{major}:{minor}")), record)?;
            symlink(format!("../../{path}"), self.root.join("sys/class/gadget").join(name))?;
        }
        self.devices = devices;
        Ok(())
    }

    pub(super) fn remove(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.root).with_context(|| format!("cannot remove {}", self.root.display()))
    }
}

/// All sizes, with both rules.
pub(super) async fn measure(bench: &mut Bench, folder: &mut Folder) -> anyhow::Result<()> {
    let mut rows = RULES.map(|_| Vec::new());
    let mut each = RULES.map(|_| Vec::new());
    for size in SIZES {
        let began = Instant::now();
        folder.grow(size).context("cannot write the folder")?;
        bench.say.detail(format_args!("{size} devices are there after {}", ms(began.elapsed())));
        for (at, rule) in RULES.into_iter().enumerate() {
            let (row, a_device) = row(bench, rule, size, FOUND[at](size)).await?;
            rows[at].push(row);
            each[at].push(a_device);
        }
    }
    for ((rule, rows), each) in RULES.into_iter().zip(rows).zip(each) {
        bench.say.detail(rule);
        bench.say.table(HEADINGS, &rows);
        bench.say.detail(verdict("takes", "as long as", each[0], each[each.len() - 1]));
    }
    Ok(())
}

/// What a device costs among the fewest and among the most, in words.
pub(super) fn verdict(costs: &str, than: &str, few: f64, many: f64) -> String {
    let times = many / few.max(f64::EPSILON);
    let said = if times <= EVEN { "growth is linear" } else { "GROWTH IS MORE THAN LINEAR" };
    let [fewest, .., most] = SIZES;
    format!("a device among {most} {costs} {times:.2} times {than} one among {fewest}: {said}")
}

/// The row of a rule, and the seconds for a device.
async fn row(
    bench: &mut Bench,
    rule: &str,
    size: usize,
    expected: usize,
) -> anyhow::Result<([String; 8], f64)> {
    let (mut times, mut floors, mut length) = (Vec::new(), Vec::new(), 0);
    for number in 0..LOOKS {
        let began = Instant::now();
        let natively = looks::natively(bench, rule)?.devices.len();
        floors.push(began.elapsed());
        let began = Instant::now();
        let details = json!({ "udevRules": [rule], "bench": [size, number] }).to_string();
        let asked = async {
            let mut stream = bench.client().discover(request(details)).await?.into_inner();
            stream.message().await?.context("the stream has ended")
        };
        let listed = tokio::time::timeout(LIMIT, asked).await.context("no list in time")??;
        times.push(began.elapsed());
        length = listed.encoded_len() as u64;
        if (listed.devices.len(), natively) != (expected, expected) {
            let listed = listed.devices.len();
            bail!(
                "{rule}: the handler finds {listed} devices and natively there are {natively}: not {expected}"
            );
        }
    }
    let calls = match costs::traced(bench, rule).await? {
        Some(calls) => format!("{:.1}", calls as f64 / size as f64),
        None => "-".to_owned(),
    };
    let (middle, floor) = (median(&mut times), median(&mut floors));
    let a_device = middle.as_secs_f64() / size as f64;
    let ratio = format!("{:.1}", middle.as_secs_f64() / floor.as_secs_f64().max(f64::EPSILON));
    let row = [
        size.to_string(),
        ms(middle),
        ms(times[0]),
        us(Duration::from_secs_f64(a_device)),
        ms(floor),
        ratio,
        calls,
        bytes(length),
    ];
    Ok((row, a_device))
}

fn us(duration: Duration) -> String {
    format!("{:.1} us", duration.as_secs_f64() * 1e6)
}
