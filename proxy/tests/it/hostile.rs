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
