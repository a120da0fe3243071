//! Directories outside the exchange whose changes wake the handler.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use akri_exchange::Wake;

use crate::support::{Agent, Place, Proxy, SILENCE, Script, config, discover};

/// A proxy that watches a directory, and a handler that has heard all that there was so far.
struct Watching {
    place: Place,
    watched: PathBuf,
    proxy: Proxy,
    script: Script,
    _agent: Agent,
    endpoint: String,
}

async fn watching(grace_ms: u64) -> Watching {
    let place = Place::new();
    let watched = place.akri().parent().unwrap().join("watched");
    std::fs::create_dir(&watched).unwrap();
    let mut agent = Agent::start(&place.akri());
    let configured = akri_proxy::ServeConfig { wake_on: vec![watched.clone()], ..config(&place) };
    let proxy = Proxy::start(configured).await;
    let mut script = Script::start_with_grace(&place.exchange(), grace_ms).await;
    // The first proxy has it look at everything once.
    script.woken_by(Wake::Everything.byte()).await;
    let endpoint = agent.registered().await.endpoint;
    Watching { place, watched, proxy, script, _agent: agent, endpoint }
}

/// How often the handler is rung in the time.
async fn rings(script: &mut Script, time: Duration) -> usize {
    let until = Instant::now() + time;
    let mut count = 0;
    while Instant::now() < until {
        if script.rung() {
            count += script.woken().await.iter().filter(|byte| **byte == Wake::Everything.byte()).count();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    count
}

#[tokio::test]
async fn every_kind_of_change_wakes_the_handler_and_a_file_in_the_making_does_not() {
    let Watching { place: _place, _agent, watched, mut script, proxy, .. } = watching(0).await;
    let quiet = Duration::from_millis(60);
    let path = |name: &str| watched.join(name);
    std::fs::write(path(".#new"), "x").unwrap();
    assert_eq!(rings(&mut script, SILENCE).await, 0);
    std::fs::rename(path(".#new"), path("b7:0")).unwrap();
    assert_eq!(rings(&mut script, quiet).await, 1, "renamed into place");
    std::fs::create_dir(path("folder")).unwrap();
    assert_eq!(rings(&mut script, quiet).await, 1, "a folder");
    std::os::unix::fs::symlink("x", path("link")).unwrap();
    assert_eq!(rings(&mut script, quiet).await, 1, "a link");
    std::fs::rename(path("b7:0"), watched.parent().unwrap().join("away")).unwrap();
    assert_eq!(rings(&mut script, quiet).await, 1, "moved away");
    std::fs::remove_file(path("link")).unwrap();
    assert_eq!(rings(&mut script, quiet).await, 1, "removed");
    assert_eq!(rings(&mut script, SILENCE).await, 0, "and then it is quiet");
    proxy.stop().await;
}

#[tokio::test]
async fn a_flood_is_a_few_wake_ups_of_which_the_last_comes_after_it() {
    let Watching { place: _place, _agent, watched, mut script, proxy, .. } = watching(0).await;
    let began = Instant::now();
    let mut heard = 0;
    while began.elapsed() < Duration::from_millis(800) {
        for number in 0..50 {
            std::fs::write(watched.join(number.to_string()), "x").unwrap();
            std::fs::remove_file(watched.join(number.to_string())).unwrap();
        }
        tokio::task::yield_now().await;
        if script.rung() {
            heard += script.woken().await.len();
        }
    }
    assert!((2..=8).contains(&heard), "{heard} wake-ups");
    // All that there was may have been told just before the end of the flood.
    std::fs::write(watched.join("last"), "x").unwrap();
    assert!(rings(&mut script, SILENCE).await >= 1, "what came last is told");
    assert_eq!(rings(&mut script, SILENCE).await, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_directory_that_is_made_anew_is_watched_again() {
    let Watching { place: _place, _agent, watched, mut script, proxy, .. } = watching(0).await;
    std::fs::remove_dir(&watched).unwrap();
    script.woken_by(Wake::Everything.byte()).await;
    std::fs::create_dir(&watched).unwrap();
    // Found by looking again: that is a wake-up, too.
    script.woken_by(Wake::Everything.byte()).await;
    while rings(&mut script, SILENCE).await > 0 {}
    std::fs::write(watched.join("x"), "").unwrap();
    script.woken_by(Wake::Everything.byte()).await;
    proxy.stop().await;
}

/// A USB reset is a removal and an addition within the grace time: a hundred of them, and the agent hears of none.
#[tokio::test]
async fn a_device_that_blinks_was_never_gone() {
    let Watching { place: _place, _agent, watched, mut script, proxy, endpoint } = watching(1000).await;
    let mut lists = {
        let opened = tokio::spawn(async move { discover(&endpoint, "descriptions: [a]").await });
        let (id, _) = script.request().await;
        script.list(id, &["camera", "disk"]);
        opened.await.unwrap()
    };
    let (id, _) = script.request().await;
    assert_eq!(lists.next().await, ["camera", "disk"]);
    let record = watched.join("c81:0");
    for _ in 0..100 {
        std::fs::write(&record, "").unwrap();
        script.woken_by(Wake::Everything.byte()).await;
        script.list(id, &["disk"]);
        std::fs::remove_file(&record).unwrap();
        script.woken_by(Wake::Everything.byte()).await;
        script.list(id, &["camera", "disk"]);
    }
    lists.stays_silent().await;
    script.list(id, &["disk"]);
    assert_eq!(lists.next().await, ["disk"], "what stays away goes");
    proxy.stop().await;
}
