//! Much of everything: Configurations, updates, and an agent that does not read.

use std::time::Duration;

use akri_exchange::{Device, RequestId};

use crate::support::{Agent, Lists, Place, Process, Script, discover, eventually, program, requests};

/// Updates in a row, unless LOAD_UPDATES says how many.
const UPDATES: usize = 2_000;
/// What may be added to the resident memory while nothing but the newest list has to be kept, in bytes.
const FLAT: u64 = 8 << 20;

fn descriptors(proxy: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", proxy.id())).unwrap().count()
}

/// A proxy of its own process, and a request that has its first list.
pub async fn answered(place: &Place) -> (Agent, Process, Script, Lists, RequestId) {
    let mut agent = Agent::start(&place.akri());
    let proxy = Process::start(program(place).arg("serve"));
    let handler = Script::start(&place.exchange()).await;
    let endpoint = agent.registered().await.endpoint;
    let (mut lists, id) = tokio::join!(discover(&endpoint, "a: 1"), async {
        let (id, _) = handler.request().await;
        handler.list(id, &["0"]);
        id
    });
    lists.next().await;
    (agent, proxy, handler, lists, id)
}

/// All updates come through or are skipped for a newer one, in order, and leave nothing behind: neither memory nor files.
#[tokio::test]
async fn thousands_of_updates_are_told_in_order_and_leave_nothing() {
    let updates = std::env::var("LOAD_UPDATES").ok().and_then(|text| text.parse().ok()).unwrap_or(UPDATES);
    let place = Place::new();
    let (_agent, proxy, handler, mut lists, id) = answered(&place).await;
    let (memory, open) = (proxy.memory("VmRSS"), descriptors(&proxy));
    let mut last = 0;
    for update in 1..=updates {
        handler.list(id, &[&update.to_string()]);
        // Now and then it is waited for: else all but the last could be skipped.
        if update % 10 == 0 {
            while last < update {
                let told: usize = lists.next().await[0].parse().unwrap();
                assert!(told >= last, "{told} after {last}");
                last = told;
            }
        }
    }
    let after = proxy.memory("VmRSS");
    eprintln!("{updates} updates: {} kB resident before, {} kB after", memory / 1024, after / 1024);
    assert!(after < memory + FLAT && descriptors(&proxy) <= open);
}

/// An agent that does not read: only the newest list waits for it, however many there were.
#[tokio::test]
async fn an_agent_that_reads_nothing_costs_one_list() {
    let place = Place::new();
    let mut agent = Agent::start(&place.akri());
    let proxy = Process::start(program(&place).arg("serve"));
    let handler = Script::start(&place.exchange()).await;
    let endpoint = agent.registered().await.endpoint;
    let large = |mark: usize| -> Vec<Device> {
        (0..5_000).map(|n| Device::new(format!("{mark}-{n}")).property("N", "x".repeat(300))).collect()
    };
    let (mut lists, id) = tokio::join!(discover(&endpoint, "a: 1"), async {
        let (id, _) = handler.request().await;
        handler.devices(id, large(0));
        id
    });
    lists.next().await;
    handler.devices(id, large(1));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let memory = proxy.memory("VmHWM") / 1024;
    for mark in 2..60 {
        handler.devices(id, large(mark));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    handler.list(id, &["newest"]);
    while lists.next().await != ["newest"] {}
    let most = proxy.memory("VmHWM") / 1024;
    eprintln!("60 lists of 5000 devices unread: {memory} kB at most before, {most} kB after");
    assert!(most < memory + 24 * 1024, "{memory} kB, then {most} kB");
}

/// A hundred Configurations at once, all gone at once: no job, no file, no descriptor stays.
#[tokio::test]
async fn a_hundred_configurations_come_and_go_and_nothing_stays() {
    let place = Place::new();
    let mut agent = Agent::start(&place.akri());
    let proxy = Process::start(program(&place).arg("serve").args(["--first-answer", "0"]));
    let handler = Script::start(&place.exchange()).await;
    let endpoint = agent.registered().await.endpoint;
    let mut open = Vec::new();
    for round in 0..3 {
        let mut streams = Vec::new();
        for n in 0..100 {
            streams.push(discover(&endpoint, &format!("n: {n}")).await);
        }
        for (id, request) in handler.requests(100).await {
            handler.list(id, &[request.details_text.as_str()]);
        }
        for (n, lists) in streams.iter_mut().enumerate() {
            assert_eq!(lists.next().await, [format!("n: {n}")], "round {round}");
        }
        drop(streams);
        eventually("no request", || requests(&place.exchange()).is_empty()).await;
        eventually("no stream", || open.first().is_none_or(|before| descriptors(&proxy) <= *before)).await;
        open.push(descriptors(&proxy));
    }
}
