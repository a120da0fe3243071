//! The policy file, from the command line to what is refused and what is shown.

use std::process::{Command, Output};

use akri_exchange::{Device, DeviceSpec};
use akri_proxy::ServeConfig;
use akri_proxy::policy::Policy;

use crate::support::{Agent, Place, Proxy, Script, config, discover, program};

const POLICY: &str = "
deviceNodes:
- path: /dev/video*
  permissions: rw
mounts:
- path: /run/camera/**
maxDevices: 3
propertyNames: [CAMERA_*]
";

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_wrong_policy_is_told_with_its_place_and_nothing_is_served() {
    let place = Place::new();
    let file = place.akri().join("policy.yaml");
    for (text, expected) in [
        ("deviceNodes:\n- path: video0\n", &["deviceNodes[0].path", "line 2", "policy.yaml"][..]),
        ("allow: everything\n", &["unknown field `allow`", "mounts"]),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut command = program(&place);
        command.args(["serve", "--policy"]).arg(&file);
        let output = run(command).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(expected.iter().all(|part| said.contains(part)), "{said}");
    }
    let mut command = program(&place);
    command.args(["serve", "--allow-mount", "/srv"]).env("POLICY_FILE", &file);
    let output = run(command).await;
    assert!(String::from_utf8(output.stderr).unwrap().contains("leave --allow-device"));
    assert_eq!(std::fs::read_dir(place.exchange()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_the_file_says_is_shown_and_holds() {
    let place = Place::new();
    let file = place.akri().join("policy.yaml");
    std::fs::write(&file, POLICY).unwrap();
    let policy = Policy::read(&file).unwrap();
    let proxy = Proxy::start(ServeConfig { policy: policy.clone(), ..config(&place) }).await;
    let handler = Script::start(&place.exchange()).await;
    let mut agent = Agent::start(&place.akri());
    let endpoint = agent.registered().await.endpoint;
    let camera = |host_path: &str, permissions: &str| Device {
        device_specs: vec![DeviceSpec {
            container_path: "/dev/video0".into(),
            host_path: host_path.into(),
            permissions: permissions.into(),
        }],
        ..Device::new("camera").property("CAMERA_NAME", "x")
    };
    let (mut lists, id) = tokio::join!(discover(&endpoint, "a: 1"), async {
        let (id, _) = handler.request().await;
        handler.devices(id, vec![camera("/dev/video7", "rw")]);
        id
    });
    assert_eq!(lists.next().await, ["camera"]);
    for (count, bad) in [
        vec![camera("/dev/sda", "rw")],
        vec![camera("/dev/video7", "rwm")],
        vec![Device::new("x").property("LD_PRELOAD", "/evil.so")],
        vec![Device::new("x"); 4],
    ]
    .into_iter()
    .enumerate()
    {
        handler.devices(id, bad);
        let line = format!("akri_proxy_answers_refused_total{{reason=\"policy\"}} {}", count + 1);
        crate::support::soon(&line, async {
            while !proxy.page("/metrics").await.contains(&line) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        })
        .await;
    }
    lists.stays_silent().await;

    let status = |output: &str| {
        let mut command = program(&place);
        command.args(["status", "-o", output, "--address", &proxy.bound.metrics.unwrap().to_string()]);
        run(command)
    };
    let json: serde_json::Value = serde_json::from_slice(&status("json").await.stdout).unwrap();
    assert_eq!(serde_json::from_value::<Policy>(json["policy"].clone()).unwrap(), policy);
    let table = String::from_utf8(status("table").await.stdout).unwrap();
    for part in ["/dev/video* (rw)", "/run/camera/** (read-only)", "CAMERA_*", "at most 3 a job"] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
    proxy.stop().await;
}
