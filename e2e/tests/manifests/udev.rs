//! The udev handler's manifests: debugEcho's, but for what is udev's own.

use akri_proxy::cli::Cli;
use clap::Parser;
use e2e::demo;
use e2e::manifest::{Configuration, Container, DaemonSet, VolumeSource};
use udev_handler::{Details, Rule};

const VOLUME: &str = "udev";

fn value<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    container.env.iter().find(|env| env.name == name).map(|env| env.value.as_str())
}

/// Takes away what is udev's own, after a look at it.
fn without_its_own(mut set: DaemonSet) -> DaemonSet {
    let spec = &mut set.spec.template.spec;
    for container in &mut spec.containers {
        let mount = container.volume_mounts.iter().position(|mount| mount.name == VOLUME).unwrap();
        let mount = container.volume_mounts.remove(mount);
        assert!(mount.read_only, "{}: udev's database is the node's", container.name);
        assert_eq!(mount.mount_path, "/run/udev");
        container.env.retain(|env| !["RESCAN_INTERVAL_SECONDS", "WAKE_ON"].contains(&env.name.as_str()));
    }
    let volume = spec.volumes.iter().position(|volume| volume.name == VOLUME).unwrap();
    match spec.volumes.remove(volume).source {
        VolumeSource::HostPath { path, .. } => assert_eq!(path, "/run/udev"),
        other => panic!("{other:?}"),
    }
    set
}

#[test]
fn it_is_debug_echos_but_for_names_and_the_database() {
    let mut echo = DaemonSet::ours().unwrap();
    let handler = &mut echo.spec.template.spec.containers[0];
    handler.env.retain(|env| env.name != "DEBUG_ECHO_INSTANCES_SHARED");
    let expected = format!("{echo:?}")
        .replace("akri-debug-echo-wasm", "akri-udev-wasm")
        .replace("akri-wasm/debug-echo:dev", "akri-wasm/udev:dev")
        .replace("\"debugEcho\"", "\"udev\"");
    assert_eq!(format!("{:?}", without_its_own(DaemonSet::udev().unwrap())), expected);
}

#[test]
fn the_directory_that_wakes_is_below_the_mount_and_the_scan_may_be_rare() {
    let spec = DaemonSet::udev().unwrap().spec.template.spec;
    let (handler, proxy) = (spec.container("handler").unwrap(), spec.container("proxy").unwrap());
    assert_eq!(value(proxy, "WAKE_ON"), Some("/run/udev/data"));
    assert_eq!(value(handler, "RESCAN_INTERVAL_SECONDS"), Some("60"));
    Cli::try_parse_from(["akri-proxy", "serve", "--wake-on", "/run/udev/data"]).unwrap();
    let source = std::fs::read_to_string(demo::checkout().join("handler/udev/src/main.rs")).unwrap();
    for text in ["\"/run/udev\"", "const NAME: &str = \"udev\";"] {
        assert!(source.contains(text), "{text}");
    }
}

#[test]
fn its_configurations_rules_are_understood() {
    let configuration = Configuration::udev().unwrap();
    assert_eq!(configuration.spec.discovery_handler.name, "udev");
    let details: Details =
        serde_yaml_ng::from_str(&configuration.spec.discovery_handler.discovery_details).unwrap();
    assert_eq!(details.udev_rules.len(), 1);
    for rule in &details.udev_rules {
        rule.parse::<Rule>().unwrap();
    }
}

#[test]
fn the_example_broker_is_for_devices_that_it_can_read() {
    let path = demo::checkout().join("examples/udev-broker/configuration.yaml");
    let configuration: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let handler = &configuration["spec"]["discoveryHandler"];
    assert_eq!(handler["name"], "udev");
    let details: Details = serde_yaml_ng::from_str(handler["discoveryDetails"].as_str().unwrap()).unwrap();
    assert_eq!(details.permissions.as_str(), "r");
    for rule in &details.udev_rules {
        rule.parse::<Rule>().unwrap();
    }
    let pod = &configuration["spec"]["brokerSpec"]["brokerPodSpec"];
    assert_eq!(pod["runtimeClassName"], e2e::RUNTIME_HANDLER);
    assert_eq!(pod["shareProcessNamespace"], true, "wasm as PID 1 ignores SIGTERM");
    assert!(!pod["securityContext"]["supplementalGroups"].as_sequence().unwrap().is_empty());
}

#[test]
fn images_are_chosen_in_one_place() {
    let file = demo::checkout().join("runtimeclass/udev/kustomization.yaml");
    let kustomization: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut named: Vec<String> = kustomization["images"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|image| format!("{}:{}", image["name"].as_str().unwrap(), image["newTag"].as_str().unwrap()))
        .collect();
    let spec = DaemonSet::udev().unwrap().spec.template.spec;
    let mut used: Vec<String> = spec.containers.into_iter().map(|container| container.image).collect();
    named.sort();
    used.sort();
    assert_eq!(named, used);
}
