//! The program's commands, as a user types them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{Agent, Place, Process, Script, eventually, program, soon};

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Answers every request that comes with one device of its details' text.
fn answering(handler: Script) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut done = std::collections::HashSet::new();
        loop {
            for (id, request) in handler.requests(1).await {
                if done.insert(id) {
                    handler.list(id, &[request.details_text.trim()]);
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
}

#[tokio::test]
async fn discover_waits_for_a_handler_and_shows_its_devices() {
    let place = Place::new();
    let _proxy = Process::start(program(&place).arg("serve"));
    let _answers = answering(Script::start(&place.exchange()).await);
    let details = place.akri().join("details");
    std::fs::write(&details, "hello: there").unwrap();
    let mut command = program(&place);
    command.args(["discover", "-o", "json", "--details"]).arg(&details);
    let output = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["devices"][0]["id"], "hello: there");
    assert!(!place.akri().join("agent-registration.sock").exists(), "it leaves nothing behind");

    let mut command = program(&place);
    command.args(["discover", "--endpoint"]).arg(place.akri().join("debugEcho-wasm-0.sock"));
    command.args(["--details", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"from: stdin").unwrap();
        child.wait_with_output().unwrap()
    });
    let output = text(&output.await.unwrap().stdout);
    assert!(output.contains("1 device") && output.contains("from: stdin"), "{output}");
}

#[tokio::test]
async fn watching_shows_changes_and_outlives_a_handlers_end() {
    let place = Place::new();
    let handler_place = place.exchange();
    let mut watching = Process::start(program(&place).args(["discover", "--watch"]));
    let mut proxy = Process::start(program(&place).arg("serve"));
    let handler = Script::start(&handler_place).await;
    let (id, _) = handler.request().await;
    handler.list(id, &["first"]);
    watching.says("first").await;
    handler.list(id, &["first", "second"]);
    watching.says("2 devices").await;
    handler.list(id, &[]);
    watching.says("no devices").await;
    proxy.signal(rustix::process::Signal::TERM);
    assert!(soon("the proxy's end", proxy.end()).await.success());
    watching.says("the stream ended").await;
    watching.signal(rustix::process::Signal::INT);
    assert!(soon("the end", watching.end()).await.success());
}

#[tokio::test]
async fn discover_leaves_a_live_agent_alone() {
    let place = Place::new();
    let _agent = Agent::start(&place.akri());
    let mut command = program(&place);
    command.arg("discover");
    let output = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("live agent"), "{}", text(&output.stderr));
    assert!(std::os::unix::net::UnixStream::connect(place.akri().join("agent-registration.sock")).is_ok());
}

#[test]
fn discover_says_when_nobody_comes() {
    let place = Place::new();
    let output = run(program(&place).args(["discover", "--timeout", "1"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no handler debugEcho registered"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn inputs_are_written_and_removed_and_wake_the_handler() {
    let place = Place::new();
    let output = run(program(&place).args(["input", "availability", "OFFLINE"]));
    assert!(text(&output.stderr).contains("does a proxy run there"), "{}", text(&output.stderr));
    let _proxy = Process::start(program(&place).arg("serve"));
    let mut handler = Script::start(&place.exchange()).await;
    let input = place.exchange().join("inputs").join("availability");
    assert!(run(program(&place).args(["input", "availability", "OFFLINE"])).status.success());
    assert_eq!(std::fs::read_to_string(&input).unwrap(), "OFFLINE");
    handler.woken_by(b'a').await;
    assert!(run(program(&place).args(["input", "availability"])).status.success());
    assert_eq!(std::fs::read_to_string(&input).unwrap(), "");
    assert!(run(program(&place).args(["input", "availability", "--remove"])).status.success());
    eventually("no input", || !input.exists()).await;
    for bad in ["../x", "a/b", ""] {
        assert_eq!(run(program(&place).args(["input", bad, "x"])).status.code(), Some(1), "{bad}");
    }
}

#[tokio::test]
async fn status_tells_the_same_of_a_running_proxy_and_of_a_bare_directory() {
    let place = Place::new();
    let output = run(program(&place).args(["status", "--address", "127.0.0.1:1"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut proxy = Process::start(program(&place).arg("serve"));
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    agent.registered().await;
    let state = || {
        let output = run(program(&place).args(["status", "-o", "json", "--address", "127.0.0.1:1"]));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(
        (&state()["handler"]["condition"], &state()["handler"]["name"]),
        (&"alive".into(), &"debugEcho".into())
    );
    drop(handler);
    assert_eq!(state()["handler"]["condition"], "gone");
    proxy.signal(rustix::process::Signal::TERM);
    proxy.end().await;
}

#[test]
fn wrong_usage_is_told_with_what_to_do() {
    let place = Place::new();
    for (arguments, expected) in [
        (vec!["serve", "--exchange", "/nonexistent"], "exchange directory /nonexistent"),
        (vec!["serve", "--name", "a/b"], "letters, digits"),
        (vec!["serve", "--pod-ip", "somewhere"], "no IP address"),
        (vec!["serve", "--metrics", "somewhere"], "ADDRESS:PORT"),
        (vec!["discover", "--details", "/nonexistent"], "/nonexistent"),
        (vec!["discover", "--endpoint", "/nonexistent"], "No such file"),
    ] {
        let output = run(program(&place).args(&arguments));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(run(program(&place).arg("frobnicate")).status.code(), Some(2));
    assert!(text(&run(program(&place).args(["discover", "--help"])).stdout).contains("Examples:"));
    assert!(text(&run(program(&place).args(["completions", "bash"])).stdout).contains("akri-proxy"));
}

/// Credentials come in by the agent and go to the handler; the log is not between the two.
#[tokio::test]
async fn properties_are_never_logged() {
    let place = Place::new();
    let mut agent = Agent::start(&place.akri());
    let proxy =
        Process::start(program(&place).args(["serve", "--log-level", "debug", "--log-format", "json"]));
    let handler = Script::start(&place.exchange()).await;
    let endpoint = agent.registered().await.endpoint;
    let properties = [("PASSWORD", Some(&b"hunter2"[..])), ("BINARY", Some(&b"\xff\xfehunter3"[..]))];
    let (opened, ()) = tokio::join!(crate::support::try_discover(&endpoint, "a: 1", &properties), async {
        let (id, _) = handler.request().await;
        handler.raw(id, b"torn");
        handler.list(id, &["x"]);
    });
    opened.unwrap().0.next().await;
    proxy.says("stream opens").await;
    let said = proxy.said.lock().unwrap().clone();
    assert!(said.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{said}");
    // hunter2 and hunter3, as text and in base64.
    for secret in ["hunter", "aHVudGVyMg", "//5odW50ZXIz"] {
        assert!(!said.contains(secret), "{said}");
    }
}
