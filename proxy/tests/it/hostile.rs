//! A handler that is not to be trusted: what breaks a rule is refused, the last good list stands, others are served.

use std::os::unix::fs::symlink;

use akri_exchange::{Device, RequestId, limits};
use akri_proxy::ServeConfig;

use crate::support::{Agent, Lists, Place, Proxy, Script, answer_bytes, config, discover};

async fn start() -> (Place, Proxy, Script, Lists, RequestId) {
    let place = Place::new();
    let proxy = Proxy::start(config(&place)).await;
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let (mut lists, id) = tokio::join!(discover(&endpoint, "a: 1"), async {
        let (id, _) = handler.request().await;
        handler.list(id, &["good"]);
        id
    });
    assert_eq!(lists.next().await, ["good"]);
    (place, proxy, handler, lists, id)
}

fn refused(page: &str) -> u64 {
    let counts = page.lines().filter(|line| line.starts_with("akri_proxy_answers_refused_total"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// How often answers were refused for this reason.
fn refused_for(page: &str, reason: &str) -> u64 {
    let label = format!("akri_proxy_answers_refused_total{{reason=\"{reason}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&label)).map_or(0, |count| count.parse().unwrap())
}

/// Every reason that docs/exchange.md names is counted as such, and as nothing else.
#[tokio::test]
async fn each_refusal_is_counted_by_its_reason() {
    let (_place, proxy, handler, mut lists, id) = start().await;
    let head = format!("\"protocol\":1,\"id\":\"{id}\"");
    let large = (0..70).map(|n| Device::new(n.to_string()).property("N", "x".repeat(60_000))).collect();
    let node =
        |path: &str| format!("{{\"container_path\":\"/x\",\"host_path\":\"{path}\",\"permissions\":\"r\"}}");
    let bad: [(&str, Vec<u8>); 9] = [
        ("file", vec![b' '; limits::ANSWER_BYTES + 1]),
        ("malformed", b"{".to_vec()),
        ("protocol", b"{\"protocol\":2}".to_vec()),
        ("id", answer_bytes(RequestId::of("other", &Default::default()))),
        ("outcome", format!("{{{head}}}").into_bytes()),
        ("limit", format!("{{{head},\"devices\":[{{\"id\":\"{}\"}}]}}", "x".repeat(2000)).into_bytes()),
        ("text", format!("{{{head},\"devices\":[{{\"id\":\"\\u0000\"}}]}}").into_bytes()),
        (
            "policy",
            format!("{{{head},\"devices\":[{{\"id\":\"x\",\"device_specs\":[{}]}}]}}", node("/etc/shadow"))
                .into_bytes(),
        ),
        ("too_large", akri_exchange::Answer::devices(id, large).to_json()),
    ];
    let documented = include_str!("../../../docs/exchange.md");
    for (count, (reason, bytes)) in bad.iter().enumerate() {
        handler.raw(id, bytes);
        wait_refused(&proxy, count as u64 + 1).await;
        assert_eq!(refused_for(&proxy.page("/metrics").await, reason), 1, "{reason}");
        assert!(documented.contains(&format!("| `{reason}` | ")), "docs/exchange.md has no row for {reason}");
    }
    lists.stays_silent().await;
    proxy.stop().await;
}

/// What finds no room beside other lists is refused, and taken as soon as one of them is gone.
#[tokio::test]
async fn a_list_without_room_waits_for_room() {
    let (place, proxy, handler, mut lists, id) = start().await;
    let endpoint = proxy.state().await.endpoint.unwrap();
    let large = |mark: &str| -> Vec<Device> {
        (0..10_000).map(|n| Device::new(format!("{mark} {n}")).property("N", "x".repeat(380))).collect()
    };
    let second = async {
        let requests = handler.requests(2).await;
        let (other, _) = requests.into_iter().find(|(other, _)| *other != id).unwrap();
        handler.devices(other, large("other"));
        other
    };
    let (mut others, other) = tokio::join!(discover(&endpoint, "b: 2"), second);
    assert_eq!(others.next().await.len(), 10_000);
    // Two of them are more than there is room for. It is refused once, also where it is looked at again in vain.
    handler.devices(id, large("first"));
    wait_refused(&proxy, 1).await;
    assert_eq!(refused_for(&proxy.page("/metrics").await, "memory"), 1);
    // But whoever has a large one may have another.
    handler.devices(other, large("another"));
    assert_eq!(others.next().await[0], "another 0");
    lists.stays_silent().await;
    // And its smaller one makes room.
    handler.list(other, &["small"]);
    assert_eq!(others.next().await, ["small"]);
    assert_eq!(lists.next().await[0], "first 0");
    wait_refused(&proxy, 1).await;
    drop(place);
    proxy.stop().await;
}

#[tokio::test]
async fn torn_and_foolish_answers_are_refused_and_the_last_good_one_stands() {
    let (_place, proxy, handler, mut lists, id) = start().await;
    let good = answer_bytes(id);
    let other = answer_bytes(RequestId::of("other", &Default::default()));
    let nested = format!("{{\"protocol\":1,\"id\":\"{id}\",\"devices\":{}", "[".repeat(200_000));
    let bad: [&[u8]; 8] = [
        b"",
        b"\xff\xfe",
        b"null",
        &good[..good.len() - 1],
        &other,
        b"{\"protocol\":2,\"id\":\"\"}",
        nested.as_bytes(),
        &[b' '; limits::ANSWER_BYTES + 1],
    ];
    for (count, bytes) in bad.into_iter().enumerate() {
        handler.raw(id, bytes);
        let expected = count as u64 + 1;
        wait_refused(&proxy, expected).await;
    }
    lists.stays_silent().await;
    handler.raw(id, &good);
    assert_eq!(lists.next().await, ["x"]);
    proxy.stop().await;
}

#[tokio::test]
async fn only_plain_files_are_read() {
    let (place, proxy, handler, mut lists, id) = start().await;
    let outside = place.akri().join("secret");
    std::fs::write(&outside, answer_bytes(id)).unwrap();
    handler.in_place_of(id, |path| symlink(&outside, path).unwrap());
    wait_refused(&proxy, 1).await;
    handler.in_place_of(id, |path| {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o666.into(), 0).unwrap();
    });
    wait_refused(&proxy, 2).await;
    handler.in_place_of(id, |path| std::fs::File::create(path).unwrap().set_len(10 << 30).unwrap());
    wait_refused(&proxy, 3).await;
    handler.in_place_of(id, |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()));
    wait_refused(&proxy, 4).await;
    handler.in_place_of(id, |path| {
        // A device node that reads without end; where such a node may not be made there is one in /dev to link to.
        let zero = rustix::fs::makedev(1, 5);
        let (kind, mode) = (rustix::fs::FileType::CharacterDevice, 0o666.into());
        if rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, zero).is_err() {
            symlink("/dev/zero", path).unwrap();
        }
    });
    wait_refused(&proxy, 5).await;
    let answers = place.exchange().join("answers");
    let name = akri_exchange::layout::message(id);
    // A folder cannot be renamed over a file.
    std::fs::remove_file(answers.join(&name)).unwrap();
    handler.in_place_of(id, |path| {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("inside"), answer_bytes(id)).unwrap();
    });
    wait_refused(&proxy, 6).await;
    assert_eq!(refused_for(&proxy.page("/metrics").await, "file"), 6);
    // Nor a file over a folder; a handler that wants to be heard again has to take it away.
    std::fs::remove_dir_all(answers.join(&name)).unwrap();
    lists.stays_silent().await;
    handler.list(id, &["good", "again"]);
    assert_eq!(lists.next().await, ["good", "again"]);
    proxy.stop().await;
}

#[tokio::test]
async fn hostile_devices_are_refused() {
    let (_place, proxy, handler, mut lists, id) = start().await;
    let devices = [
        vec![Device::new("a\0b")],
        vec![Device::new("x").property("A=B", "")],
        vec![Device::new("x").property("A", "\0")],
        vec![Device::new("x"); limits::DEVICES + 1],
    ];
    for (count, devices) in devices.into_iter().enumerate() {
        handler.devices(id, devices);
        wait_refused(&proxy, count as u64 + 1).await;
    }
    lists.stays_silent().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_flood_of_foreign_answers_costs_the_others_nothing() {
    let (_place, proxy, handler, mut lists, id) = start().await;
    for n in 0..2000 {
        let foreign = RequestId::of(&n.to_string(), &Default::default());
        handler.raw(foreign, b"whatever");
    }
    handler.list(id, &["good", "still"]);
    assert_eq!(lists.next().await, ["good", "still"]);
    assert_eq!(proxy.state().await.jobs.len(), 1);
    proxy.stop().await;
}

#[tokio::test]
async fn an_announcement_that_reaches_beyond_its_name_is_refused() {
    let place = Place::new();
    let proxy = Proxy::start(ServeConfig { name: None, ..config(&place) }).await;
    let mut agent = Agent::start(&place.akri());
    std::fs::write(place.exchange().join(".h"), br#"{"protocol":1,"name":"../../evil"}"#).unwrap();
    std::fs::rename(place.exchange().join(".h"), place.exchange().join("handler.json")).unwrap();
    wait_refused(&proxy, 1).await;
    agent.stays_silent().await;
    let _handler = Script::start(&place.exchange()).await;
    assert_eq!(agent.registered().await.name, "debugEcho");
    proxy.stop().await;
}

async fn wait_refused(proxy: &Proxy, count: u64) {
    let waited = tokio::time::timeout(crate::support::PATIENCE, async {
        while refused(&proxy.page("/metrics").await) < count {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never {count} refusals"));
    assert_eq!(refused(&proxy.page("/metrics").await), count);
}

/// A folder where a file of ours belongs cannot be removed like a file: neither may it keep a proxy from starting.
#[tokio::test]
async fn folders_in_the_place_of_our_files_stop_nobody() {
    let place = Place::new();
    for name in ["stop", "wake", ".wake.x", ".stop.y"] {
        std::fs::create_dir(place.exchange().join(name)).unwrap();
        std::fs::write(place.exchange().join(name).join("full"), "").unwrap();
    }
    let proxy = Proxy::start(config(&place)).await;
    let _handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    agent.registered().await;
    proxy.stop().await;
    assert!(place.exchange().join("stop").is_file());
}

/// A file that grows under the reader: what is read of it is bounded, and it is either a whole answer or none.
#[tokio::test]
async fn a_file_that_grows_while_it_is_read_holds_nobody_up() {
    let (_place, proxy, handler, mut lists, id) = start().await;
    let growing = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let mut writers = Vec::new();
    for round in 0..20 {
        let mut file = None;
        handler.in_place_of(id, |path| {
            std::fs::write(path, answer_bytes(id)).unwrap();
            let mut opened = std::fs::File::options().append(true).open(path).unwrap();
            let growing = growing.clone();
            // It grows from before the rename until the test is over, or there is no room for a whole one any more.
            let grow = move || {
                let spaces = [b' '; 64 * 1024];
                let most = limits::ANSWER_BYTES / spaces.len() + 4;
                for _ in 0..most {
                    if !growing.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    std::io::Write::write_all(&mut opened, &spaces).unwrap();
                }
            };
            file = Some(std::thread::spawn(grow));
        });
        writers.extend(file);
        let after = format!("after {round}");
        handler.list(id, &[&after]);
        while lists.next().await != [after.as_str()] {}
    }
    growing.store(false, std::sync::atomic::Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    proxy.stop().await;
}
