//! Several proxies on one exchange, several pods on one node: any of them may die or leave.

use akri_exchange::RequestId;

use crate::support::{
    Agent, Lists, Place, Process, Proxy, Script, config, discover, eventually, program, requests, soon,
};

/// Two proxies as processes, a stream on each, one handler.
async fn pair(place: &Place) -> (Agent, Vec<Process>, Vec<Lists>, Script, RequestId) {
    let mut agent = Agent::start(&place.akri());
    let first = Process::start(program(place).arg("serve"));
    let handler = Script::start(&place.exchange()).await;
    let mut endpoints = vec![agent.registered().await.endpoint];
    let second = Process::start(program(place).arg("serve"));
    endpoints.push(agent.registered().await.endpoint);
    assert_eq!(
        endpoints.iter().map(|e| e.rsplit('/').next().unwrap()).collect::<Vec<_>>(),
        ["debugEcho-wasm-0.sock", "debugEcho-wasm-1.sock"]
    );
    let (mut lists, id) = tokio::join!(
        async { vec![discover(&endpoints[0], "a: 1").await, discover(&endpoints[1], "a: 1").await] },
        async {
            let (id, _) = handler.request().await;
            handler.list(id, &["x"]);
            id
        }
    );
    for list in &mut lists {
        assert_eq!(list.next().await, ["x"]);
        assert_eq!(list.next().await, ["x"], "the repetition");
    }
    (agent, vec![first, second], lists, handler, id)
}

#[tokio::test]
async fn two_proxies_share_one_job_and_one_answer() {
    let place = Place::new();
    let (_agent, _proxies, mut lists, handler, id) = pair(&place).await;
    assert_eq!(requests(&place.exchange()).len(), 2);
    assert_eq!(std::fs::read_dir(place.exchange().join("answers")).unwrap().count(), 1);
    handler.list(id, &["x", "y"]);
    for list in &mut lists {
        assert_eq!(list.next().await, ["x", "y"]);
    }
}

#[tokio::test]
async fn either_may_be_killed_and_the_other_carries_on() {
    for victim in [0, 1] {
        let place = Place::new();
        let (mut agent, mut proxies, mut lists, handler, id) = pair(&place).await;
        proxies.remove(victim).kill();
        assert!(lists.remove(victim).end().await.is_err());
        lists[0].stays_silent().await;
        handler.list(id, &["after"]);
        assert_eq!(lists[0].next().await, ["after"]);
        assert!(!place.exchange().join("stop").exists());

        // Its successor takes its socket slot and its folder, and has the list at once.
        let _successor = Process::start(program(&place).arg("serve"));
        let endpoint = agent.registered().await.endpoint;
        assert!(endpoint.ends_with(&format!("debugEcho-wasm-{victim}.sock")), "{endpoint}");
        assert_eq!(discover(&endpoint, "a: 1").await.next().await, ["after"]);
        eventually("two requests", || requests(&place.exchange()).len() == 2).await;
    }
}

#[tokio::test]
async fn only_the_last_to_leave_stops_the_handler() {
    let place = Place::new();
    let (_agent, mut proxies, lists, handler, id) = pair(&place).await;
    let mut lists = lists.into_iter();
    let (first, mut second) = (lists.next().unwrap(), lists.next().unwrap());
    proxies[0].signal(rustix::process::Signal::TERM);
    assert!(first.end().await.is_ok());
    assert!(soon("the end", proxies[0].end()).await.success());
    assert!(!place.exchange().join("stop").exists());
    handler.list(id, &["still"]);
    assert_eq!(second.next().await, ["still"]);
    proxies[1].signal(rustix::process::Signal::TERM);
    assert!(soon("the end", proxies[1].end()).await.success());
    assert!(place.exchange().join("stop").exists());
}

#[tokio::test]
async fn two_that_leave_at_once_do_not_forget_the_stop() {
    for _ in 0..5 {
        let place = Place::new();
        let (_agent, mut proxies, _lists, _handler, _) = pair(&place).await;
        proxies.iter().for_each(|proxy| proxy.signal(rustix::process::Signal::TERM));
        for proxy in &mut proxies {
            assert!(soon("the end", proxy.end()).await.success());
        }
        assert!(place.exchange().join("stop").exists());
    }
}

#[tokio::test]
async fn two_pods_on_one_node_have_a_slot_each() {
    let (node, other) = (Place::new(), Place::new());
    let mut agent = Agent::start(&node.akri());
    let first = Proxy::start(config(&node)).await;
    let second_config = akri_proxy::ServeConfig { exchange: other.exchange(), ..config(&node) };
    let second = Proxy::start(second_config).await;
    let _handlers = (Script::start(&node.exchange()).await, Script::start(&other.exchange()).await);
    let mut endpoints = [agent.registered().await.endpoint, agent.registered().await.endpoint];
    endpoints.sort();
    assert!(
        endpoints[0].ends_with("debugEcho-wasm-0.sock") && endpoints[1].ends_with("debugEcho-wasm-1.sock")
    );
    first.stop().await;
    // The second one's socket is not the first one's business.
    assert_eq!(
        std::fs::read_dir(node.akri())
            .unwrap()
            .filter(|entry| {
                entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with("-wasm-0.sock")
                    || entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with("-wasm-1.sock")
            })
            .count(),
        1
    );
    second.stop().await;
}
