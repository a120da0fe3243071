//! The proxy's memory: small for lists as they are, bounded for the largest there may be, and no more than that whatever a
//! handler writes. `PROXY_PROGRAM` names another build than the one of the tests: a release, for what images hold.

use std::time::Duration;

use akri_exchange::{Answer, Device, DeviceSpec, Mount, RequestId, limits};
use akri_proxy::pb::DiscoverResponse;

use crate::load::answered;
use crate::support::{Agent, Lists, Place, Process, Script, discover, program};

/// What the most demanding of all that follows may add to what is resident before the first list, in bytes: 10 MiB of lists, an
/// answer of 1 MiB, a device as a value, and what HTTP and the allocator have of it. With the 3 MB that a release has before,
/// this is well below the 24 MiB of the manifests.
const MOST: u64 = 12 << 20;
/// The same for 5,000 ordinary devices: the bytes of two lists of 1.3 MB, and of what is read of an answer at a time.
const ORDINARY: u64 = 5 << 20;

fn list(count: usize, device: impl Fn(usize) -> Device) -> Vec<Device> {
    (0..count).map(device).collect()
}

fn plain(n: usize) -> Device {
    Device::new(format!("device-{n:05}")).property("DESCRIPTION", "x".repeat(100))
}

/// As the udev handler has them: a path, a node, and what is known of both.
fn ordinary(n: usize) -> Device {
    let node = format!("/dev/bus/usb/001/{n:04}");
    let id = format!("/devices/pci0000:00/0000:00:14.0/usb1/1-{n}/1-{n}:1.0/ttyUSB{n}");
    let device = Device::new(id.clone()).property("UDEV_DEVPATH", id).property("UDEV_DEVNODE", node.clone());
    let spec = DeviceSpec { container_path: node.clone(), host_path: node, permissions: "rwm".into() };
    Device { device_specs: vec![spec], ..device.property("ID_SERIAL", format!("Vendor_Model_{n:08}")) }
}

fn many_properties(n: usize) -> Device {
    (0..100).fold(Device::new(format!("device-{n}")), |device, p| device.property(format!("P{p}"), "x"))
}

/// What may be told: the most devices, the most bytes, the most of them in one device, the most properties, the most nodes.
fn largest() -> Vec<(&'static str, Vec<Device>)> {
    let long =
        |length| move |n| Device::new(format!("device-{n:05}")).property("DESCRIPTION", "x".repeat(length));
    let spec = |n| DeviceSpec {
        container_path: format!("/dev/{n}"),
        host_path: "/dev/x".into(),
        permissions: "r".into(),
    };
    let nodes = |n: usize| Device { device_specs: (0..64).map(spec).collect(), ..Device::new(n.to_string()) };
    let escaped = |n| Device::new(format!("device-{n:05}")).property("QUOTES", "\"".repeat(380));
    vec![
        ("10,000 devices", list(10_000, plain)),
        ("10,000 long ones", list(10_000, long(380))),
        ("64 devices of 64 kB", list(64, long(64_000))),
        ("200,000 properties", list(2_000, many_properties)),
        ("96,000 nodes", list(1_500, nodes)),
        ("nothing but an id", list(10_000, |n| Device::new(n.to_string()))),
        ("all escaped", list(10_000, escaped)),
    ]
}

/// Tells a list twice, the second one while the first one is kept, and reads both.
async fn told_twice(handler: &Script, lists: &mut Lists, id: RequestId, list: &[Device]) {
    for mark in 0..2 {
        let mut list = list.to_vec();
        list[0].id = format!("mark {mark} of {}", list.len());
        let expected = list[0].id.clone();
        handler.devices(id, list);
        while lists.next_full().await.devices[0].id != expected {}
    }
}

fn added(proxy: &Process, before: u64, what: &str) -> u64 {
    let most = proxy.memory("VmHWM");
    eprintln!("{what}: {} kB resident before, {} kB at most so far", before / 1024, most / 1024);
    most - before
}

#[tokio::test]
async fn ordinary_lists_take_little_more_than_their_bytes() {
    let place = Place::new();
    let (_agent, proxy, handler, mut lists, id) = answered(&place).await;
    let before = proxy.memory("VmRSS");
    let list = list(5_000, ordinary);
    told_twice(&handler, &mut lists, id, &list).await;
    let bytes = Answer::devices(id, list).to_json().len();
    let most = added(&proxy, before, &format!("5000 ordinary devices, {bytes} bytes of answer"));
    assert!(most < ORDINARY);
    // And nothing of it stays.
    handler.list(id, &["small"]);
    while lists.next().await != ["small"] {}
    let after = proxy.memory("VmRSS");
    eprintln!("{} kB resident after", after / 1024);
    assert!(after < before + (2 << 20), "{after}");
}

#[tokio::test]
async fn the_largest_lists_take_bounded_memory() {
    let place = Place::new();
    let (_agent, proxy, handler, mut lists, id) = answered(&place).await;
    let before = proxy.memory("VmRSS");
    for (what, list) in largest() {
        told_twice(&handler, &mut lists, id, &list).await;
        let bytes = Answer::devices(id, list).to_json().len();
        assert!(added(&proxy, before, &format!("{what}, {bytes} bytes of answer")) < MOST);
    }
}

/// Answers that make as much of each byte as can be thought of; most are refused, but not before they were read.
fn hostile(id: RequestId) -> Vec<(&'static str, Vec<u8>)> {
    let head = format!("{{\"protocol\":1,\"id\":\"{id}\",");
    let fill = |begin: &str, part: &dyn Fn(usize) -> String, end: &str| {
        let mut text = format!("{head}{begin}");
        let mut n = 0;
        while text.len() < limits::ANSWER_BYTES - 100_000 {
            text += &part(n);
            n += 1;
        }
        (text + end).into_bytes()
    };
    let device = |rest: &str| format!("{{\"id\":\"x\",{rest}");
    let devices = "\"devices\":[";
    let x = |_: usize| "x".repeat(1000);
    vec![
        (
            "properties of one device",
            fill(
                &format!("{devices}{}", device("\"properties\":{")),
                &|n| format!("\"A{n}\":\"\","),
                "\"Z\":\"\"}}]}",
            ),
        ),
        (
            "one property again",
            fill(
                &format!("{devices}{}", device("\"properties\":{")),
                &|_| "\"A\":\"\",".into(),
                "\"Z\":\"\"}}]}",
            ),
        ),
        (
            "mounts of one device",
            fill(
                &format!("{devices}{}", device("\"mounts\":[")),
                &|_| "{\"container_path\":\"/a\",\"host_path\":\"/b\"},".into(),
                "0]}]}",
            ),
        ),
        ("devices", fill(devices, &|_| "{\"id\":\"\"},".into(), "{\"id\":\"\"}]}")),
        (
            "devices of 256 properties",
            fill(
                devices,
                &|_| {
                    let pairs: Vec<String> = (0..256).map(|n| format!("\"A{n}\":\"\"")).collect();
                    device(&format!("\"properties\":{{{}}}}},", pairs.join(",")))
                },
                "{\"id\":\"\"}]}",
            ),
        ),
        (
            "devices of 1 MB",
            fill(
                devices,
                &|_| {
                    let pairs: Vec<String> =
                        (0..16).map(|n| format!("\"A{n}\":\"{}\"", "x".repeat(65_000))).collect();
                    device(&format!("\"properties\":{{{}}}}},", pairs.join(",")))
                },
                "{\"id\":\"\"}]}",
            ),
        ),
        ("a long id", fill(&format!("{devices}{{\"id\":\""), &x, "\"}]}")),
        ("a long value", fill(&format!("{devices}{}", device("\"properties\":{\"A\":\"")), &x, "\"}}]}")),
        (
            "an escaped value",
            fill(
                &format!("{devices}{}", device("\"properties\":{\"A\":\"")),
                &|_| "\\u0041".repeat(100),
                "\"}}]}",
            ),
        ),
        ("a long name", fill(&format!("{devices}{}", device("\"properties\":{\"")), &x, "\":\"\"}}]}")),
        ("a long field", fill("\"", &x, "\":0}")),
        ("a long message", fill("\"error\":{\"kind\":\"unavailable\",\"message\":\"", &x, "\"}}")),
        ("a long number", fill("\"later\":", &|_| "9".repeat(1000), "}")),
        ("brackets", fill("\"later\":", &|_| "[".repeat(1000), "")),
        ("nested lists", fill("\"later\":", &|_| "[0,".repeat(1000), "")),
        ("nested objects", fill("\"later\":", &|_| "{\"a\":".repeat(1000), "")),
        ("white space", fill("", &|_| " ".repeat(1000), "\"devices\":[]}")),
    ]
}

/// One handler, several jobs, and an agent that reads nothing of some of them: whatever is written, and however often, there is
/// never more than the room for lists and what it takes to read one answer.
#[tokio::test]
async fn nothing_that_a_handler_writes_takes_more() {
    let place = Place::new();
    let mut agent = Agent::start(&place.akri());
    let proxy = Process::start(program(&place).args(["serve", "--first-answer", "0"]));
    // Whatever goes is held back for an hour: as much is held as may be.
    let handler = Script::start_with_grace(&place.exchange(), limits::REMOVAL_GRACE_MS).await;
    let endpoint = agent.registered().await.endpoint;
    let mut streams = Vec::new();
    for n in 0..5 {
        streams.push(discover(&endpoint, &format!("job: {n}")).await);
    }
    let requests = handler.requests(5).await;
    let of = |n: usize| {
        let details = format!("job: {n}");
        requests.iter().find(|(_, request)| request.details_text == details).unwrap().0
    };
    let (small, bad) = (of(0), of(1));
    handler.list(small, &["first"]);
    assert_eq!(streams[0].next().await, ["first"]);
    let before = proxy.memory("VmRSS");
    // All that was written before a list of another job has been read when that is told; one turn of events later at most.
    let mut turns = 0;
    let mut read = async |small_lists: &mut Lists| {
        for _ in 0..2 {
            turns += 1;
            let mark = format!("turn {turns}");
            handler
                .devices(small, vec![Device::new("first"), Device::new("turn").property("N", mark.clone())]);
            let told = |list: &DiscoverResponse| {
                list.devices.get(1).is_some_and(|turn| turn.properties["N"] == mark)
            };
            while !told(&small_lists.next_full().await) {}
        }
    };
    let mut watched = streams.remove(0);
    for (what, bytes) in hostile(bad) {
        handler.raw(bad, &bytes);
        read(&mut watched).await;
        assert!(added(&proxy, before, what) < MOST, "{what}");
    }
    // Lists that are good, each of other devices than the last one, of all jobs at once; nobody reads what is told of them.
    let shapes = ["10,000 long ones", "200,000 properties", "nothing but an id"];
    for round in 0..2 {
        for (what, list) in largest().into_iter().filter(|(what, _)| shapes.contains(what)) {
            let list: Vec<Device> = list
                .into_iter()
                .map(|device| Device { id: format!("{round} {}", device.id), ..device })
                .collect();
            (1..5).for_each(|n| handler.devices(of(n), list.clone()));
            read(&mut watched).await;
            assert!(added(&proxy, before, &format!("4 jobs of {what}")) < MOST, "{what}");
        }
    }
    // And mounts and failures, of all jobs.
    let mount = |n| Mount {
        container_path: format!("/{n}/{}", "x".repeat(4000)),
        host_path: "/".into(),
        read_only: true,
    };
    let mounts = Device { mounts: (0..64).map(mount).collect(), ..Device::new("x") };
    for n in 1..5 {
        handler.devices(of(n), vec![mounts.clone(); 10]);
        handler.fail(of(n), akri_exchange::Failure::unavailable("x".repeat(1 << 20)));
    }
    read(&mut watched).await;
    assert!(added(&proxy, before, "mounts and failures") < MOST);
    // A flood of files, faster than it can be read.
    for n in 0..20_000 {
        handler.raw(RequestId::of(&n.to_string(), &Default::default()), b"{");
    }
    read(&mut watched).await;
    assert!(added(&proxy, before, "20,000 answers that nobody asked for") < MOST);
    // Whoever reads at last gets the newest list that there was room for, and all are served again.
    let room = Duration::from_secs(30);
    for n in 1..5 {
        handler.list(of(n), &["last"]);
    }
    for (n, lists) in streams.iter_mut().enumerate() {
        let last = async { while !lists.next().await.contains(&"last".to_owned()) {} };
        tokio::time::timeout(room, last).await.unwrap_or_else(|_| panic!("job {} has no last list", n + 1));
    }
}
