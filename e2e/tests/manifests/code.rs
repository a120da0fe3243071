//! The manifests in runtimeclass/ against the constants in the code.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use akri_exchange::layout;
use akri_proxy::cli::Cli;
use akri_proxy::{akri, health};
use clap::{CommandFactory, Parser};
use e2e::manifest::{
    CONFIGURATION, Configuration, Container, DaemonSet, Quantity, RUNTIME_CLASS, VolumeSource,
};
use e2e::{RUNTIME_HANDLER, demo, story};
use serde_yaml_ng::Value;

/// What the handler reads from its environment: the SDK's settings, and debugEcho's own.
const HANDLER_VARIABLES: [&str; 4] = [
    "EXCHANGE_DIRECTORY",
    "RESCAN_INTERVAL_SECONDS",
    "REMOVAL_GRACE_MILLISECONDS",
    "DEBUG_ECHO_INSTANCES_SHARED",
];

fn folder() -> PathBuf {
    demo::checkout().join("runtimeclass")
}

fn yaml(file: &str) -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(folder().join(file)).unwrap()).unwrap()
}

fn daemon_set() -> DaemonSet {
    DaemonSet::ours().unwrap()
}

/// The containers of both variants: the base's, and what the overlay adds.
fn proxies() -> Vec<Container> {
    let base = daemon_set().spec.template.spec.container("proxy").unwrap().clone();
    let added = yaml("ha/second-proxy.yaml")["spec"]["template"]["spec"]["containers"].clone();
    let added: Vec<Container> = serde_yaml_ng::from_value(added).unwrap();
    assert_eq!(added.len(), 1);
    [vec![base], added].concat()
}

fn variable<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    container.env.iter().find(|env| env.name == name).map(|env| env.value.as_str())
}

/// The variables and defaults of `akri-proxy serve`.
fn serve() -> clap::Command {
    Cli::command().find_subcommand("serve").unwrap().clone()
}

fn default_of(variable: &str) -> String {
    let serve = serve();
    let argument =
        serve.get_arguments().find(|argument| argument.get_env().is_some_and(|env| env == variable)).unwrap();
    argument.get_default_values()[0].to_str().unwrap().to_owned()
}

fn port(address: &str) -> u16 {
    address.parse::<std::net::SocketAddr>().unwrap().port()
}

#[test]
fn the_runtime_class_is_the_nodes_runtime_handler() {
    let class: Value = serde_yaml_ng::from_str(RUNTIME_CLASS).unwrap();
    assert_eq!((&class["apiVersion"], &class["kind"]), (&"node.k8s.io/v1".into(), &"RuntimeClass".into()));
    assert_eq!(class["handler"], RUNTIME_HANDLER);
    assert_eq!(class["metadata"]["name"], daemon_set().spec.template.spec.runtime_class_name);
    let read = |file| std::fs::read_to_string(demo::checkout().join(file)).unwrap();
    // What `wasm-node apply` calls it where nobody says another name.
    assert!(read("node/src/spec.rs").contains(&format!("= \"{RUNTIME_HANDLER}\";")));
    assert!(
        read("scripts/edge-node.d/boot.sh").contains(&format!("sandbox_image = \"{}\"", e2e::images::PAUSE))
    );
}

/// The label of the nodes that are set up, as scripts/cluster sets it.
#[test]
fn the_runtime_class_wants_the_nodes_label_and_says_its_overhead() {
    let class: Value = serde_yaml_ng::from_str(RUNTIME_CLASS).unwrap();
    let selector = class["scheduling"]["nodeSelector"].as_mapping().unwrap();
    assert_eq!(selector.len(), 1);
    let (label, value) = selector.iter().next().unwrap();
    let script = std::fs::read_to_string(demo::checkout().join("scripts/cluster")).unwrap();
    let line = format!("readonly LABEL={}={}\n", label.as_str().unwrap(), value.as_str().unwrap());
    assert!(script.contains(&line), "{line}");
    let overhead: Quantity = class["overhead"]["podFixed"]["memory"].as_str().unwrap().parse().unwrap();
    // Whether it is true is for the cluster's tests to say.
    assert!(overhead.0 > 0);
}

#[test]
fn every_object_has_the_recommended_labels() {
    for file in ["class/runtimeclass.yaml", "debug-echo/daemonset.yaml", "debug-echo/configuration.yaml"] {
        for label in ["name", "part-of", "component"] {
            let label = format!("app.kubernetes.io/{label}");
            assert!(yaml(file)["metadata"]["labels"][&label].is_string(), "{file} has no {label}");
        }
    }
    // The others are the same for all objects of a kustomization.
    for (kustomization, own) in [("class", &[][..]), ("debug-echo", &["instance"])] {
        let labels = yaml(&format!("{kustomization}/kustomization.yaml"))["labels"][0]["pairs"].clone();
        for label in [&["version", "managed-by"], own].concat() {
            let label = format!("app.kubernetes.io/{label}");
            assert!(labels[&label].is_string(), "{kustomization} has no {label}");
        }
        assert_eq!(labels["app.kubernetes.io/version"], env!("CARGO_PKG_VERSION"));
    }
}

/// Akri's chart asks for 11Mi: <https://github.com/project-akri/akri/tree/main/deployment/helm>
#[test]
fn both_containers_together_ask_for_no_more_than_a_native_handler() {
    let spec = daemon_set().spec.template.spec;
    let asked = |name: &str| {
        let memory = spec.container(name).unwrap().resources.requests["memory"].parse::<Quantity>();
        memory.unwrap().0
    };
    assert!(asked("handler") + asked("proxy") <= 11 << 20);
}

/// The stand-in for Akri's agent asks for what the Configuration says.
#[test]
fn the_stand_in_agent_asks_what_the_configuration_asks() {
    let file = demo::checkout().join("scripts/cluster.d/akri-stand-in/kustomization.yaml");
    let stand_in: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let literal = stand_in["configMapGenerator"][0]["literals"][0].as_str().unwrap();
    let details = Configuration::ours().unwrap().spec.discovery_handler.discovery_details;
    assert_eq!(literal.strip_prefix("details.yaml="), Some(&details[..]));
}

#[test]
fn directories_are_the_codes_defaults() {
    let spec = daemon_set().spec.template.spec;
    for container in spec.containers.iter().chain(&proxies()) {
        let of = |name: &str| {
            container
                .volume_mounts
                .iter()
                .find(|mount| mount.name == name)
                .map(|mount| mount.mount_path.as_str())
        };
        assert_eq!(of("exchange"), Some(layout::DEFAULT_DIRECTORY), "{}", container.name);
        assert_eq!(variable(container, "EXCHANGE_DIRECTORY"), Some(layout::DEFAULT_DIRECTORY));
        let proxy = container.name != "handler";
        assert_eq!(of("akri"), proxy.then_some(akri::DEFAULT_DIRECTORY));
        assert_eq!(variable(container, akri::DIRECTORY_VARIABLE), proxy.then_some(akri::DEFAULT_DIRECTORY));
    }
    for volume in &spec.volumes {
        match &volume.source {
            VolumeSource::HostPath { path, kind } => {
                assert_eq!((path.as_str(), kind.as_str()), (akri::DEFAULT_DIRECTORY, "DirectoryOrCreate"));
            }
            VolumeSource::EmptyDir { medium, size_limit } => {
                assert_eq!((medium.as_str(), size_limit.as_str()), ("Memory", "16Mi"));
            }
        }
    }
}

#[test]
fn every_variable_is_one_that_the_program_reads() {
    let serve = serve();
    let known: BTreeSet<&str> =
        serve.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    for proxy in proxies() {
        for env in &proxy.env {
            assert!(
                known.contains(env.name.as_str()),
                "{}: akri-proxy serve does not read {}",
                proxy.name,
                env.name
            );
        }
        let words = [&["akri-proxy".to_owned()][..], &proxy.args].concat();
        Cli::try_parse_from(words).unwrap();
    }
    let spec = daemon_set().spec.template.spec;
    for env in &spec.container("handler").unwrap().env {
        assert!(HANDLER_VARIABLES.contains(&env.name.as_str()), "the handler does not read {}", env.name);
    }
    // And the list above is true: the sources name each of them.
    let sources = ["handler/sdk/src/settings.rs", "handler/debug-echo/src/main.rs"]
        .map(|file| std::fs::read_to_string(demo::checkout().join(file)).unwrap())
        .concat();
    for name in HANDLER_VARIABLES {
        assert!(sources.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn probes_are_on_the_proxies_only_and_ask_what_is_served() {
    let handler = daemon_set().spec.template.spec.container("handler").unwrap().clone();
    assert!(
        handler.readiness_probe.is_none() && handler.liveness_probe.is_none(),
        "nothing can be executed in wasm"
    );
    let mut taken = BTreeSet::new();
    for proxy in proxies() {
        let (ready, alive) =
            (proxy.readiness_probe.as_ref().unwrap(), proxy.liveness_probe.as_ref().unwrap());
        assert_eq!((&ready.grpc.service[..], &alive.grpc.service[..]), (health::READINESS, health::LIVENESS));
        let health = port(variable(&proxy, "HEALTH_ADDRESS").unwrap());
        let metrics = port(variable(&proxy, "METRICS_ADDRESS").unwrap());
        assert_eq!((ready.grpc.port, alive.grpc.port), (health, health));
        let ports: Vec<u16> = proxy.ports.iter().map(|port| port.container_port).collect();
        assert_eq!(ports, [health, metrics]);
        for port in ports {
            assert!(taken.insert(port), "{}: port {port} is another proxy's, in one pod", proxy.name);
        }
    }
}

#[test]
fn ports_are_the_programs_defaults() {
    let proxy = &proxies()[0];
    for name in ["HEALTH_ADDRESS", "METRICS_ADDRESS"] {
        assert_eq!(variable(proxy, name).unwrap(), default_of(name));
    }
    assert_eq!((port(&default_of("HEALTH_ADDRESS")), port(&default_of("METRICS_ADDRESS"))), (9180, 9181));
    let annotations = daemon_set().spec.template.metadata.annotations;
    assert_eq!(annotations["prometheus.io/port"], port(&default_of("METRICS_ADDRESS")).to_string());
    let spec = daemon_set().spec.template.spec;
    assert!(spec.container(&annotations["kubectl.kubernetes.io/default-container"]).is_some());
}

/// The Pod Security Standard "restricted", for the handler; the proxy needs root's user, and nothing else of root's.
#[test]
fn containers_are_restricted() {
    let spec = daemon_set().spec.template.spec;
    for container in spec.containers.iter().chain(&proxies()) {
        let security = &container.security_context;
        let wasm = container.name == "handler";
        assert_eq!(security.run_as_non_root, wasm, "{}", container.name);
        assert_eq!(security.run_as_user, if wasm { 65532 } else { 0 });
        assert!(security.read_only_root_filesystem && !security.allow_privilege_escalation);
        assert_eq!(security.capabilities.drop, ["ALL"]);
        assert_eq!(security.seccomp_profile.kind, "RuntimeDefault");
        assert_eq!(container.resources.limits["memory"], "24Mi");
    }
    assert_eq!(spec.security_context.fs_group, 65532);
    assert_eq!(spec.security_context.seccomp_profile.kind, "RuntimeDefault");
    assert!(!spec.automount_service_account_token && !spec.enable_service_links);
    assert!(spec.termination_grace_period_seconds <= 5);
}

#[test]
fn updates_surge() {
    let spec = daemon_set().spec;
    assert_eq!(spec.update_strategy["type"], "RollingUpdate");
    assert_eq!(spec.update_strategy["rollingUpdate"]["maxSurge"], 1);
    assert_eq!(spec.update_strategy["rollingUpdate"]["maxUnavailable"], 0);
    assert!(spec.min_ready_seconds >= 1);
    let app = "app.kubernetes.io/name";
    assert_eq!(spec.selector["matchLabels"][app], spec.template.metadata.labels[app]);
}

#[test]
fn the_configuration_asks_the_handler_that_is_deployed() {
    let configuration = Configuration::ours().unwrap();
    assert_eq!(configuration.metadata.name, "akri-debug-echo");
    assert_eq!(configuration.spec.discovery_handler.name, akri::DEBUG_ECHO);
    assert_eq!(configuration.spec.capacity, 2);
    assert_eq!(story::devices(&configuration).unwrap(), ["foo0", "foo1"]);
    let document: Value = serde_yaml_ng::from_str(CONFIGURATION).unwrap();
    assert_eq!((&document["apiVersion"], &document["kind"]), (&"akri.sh/v0".into(), &"Configuration".into()));
    for proxy in proxies() {
        assert_eq!(variable(&proxy, "DISCOVERY_HANDLER_NAME"), Some(akri::DEBUG_ECHO));
    }
}

#[test]
fn the_second_proxy_differs_by_name_and_ports_only() {
    let [first, mut second] = <[Container; 2]>::try_from(proxies()).unwrap();
    assert_ne!(first.name, second.name);
    let (mut env, ports) = (first.env.clone(), first.ports.clone());
    for name in ["HEALTH_ADDRESS", "METRICS_ADDRESS"] {
        let value = variable(&second, name).unwrap().to_owned();
        env.iter_mut().find(|env| env.name == name).unwrap().value = value;
    }
    assert_eq!(second.env, env);
    (second.name, second.env, second.ports) = (first.name.clone(), first.env.clone(), ports);
    (second.readiness_probe, second.liveness_probe) =
        (first.readiness_probe.clone(), first.liveness_probe.clone());
    assert_eq!(format!("{second:?}"), format!("{first:?}"));
}

/// The overlay's image is the one that is chosen in the one place, with what `make image` puts behind its tag.
#[test]
fn the_compiled_handler_differs_by_its_tag_only() {
    let handler = |set: DaemonSet| set.spec.template.spec.container("handler").unwrap().image.clone();
    let (base, compiled) = (handler(daemon_set()), handler(DaemonSet::compiled().unwrap()));
    assert_eq!(compiled, format!("{base}-aot"));
    let overlay = yaml("aot/handler.yaml");
    assert_eq!(overlay["metadata"]["name"], daemon_set().metadata.name);
    assert_eq!(yaml("aot/kustomization.yaml")["patches"][0]["path"], "handler.yaml");
    let script = std::fs::read_to_string(demo::checkout().join("scripts/build-images")).unwrap();
    assert!(script.contains("$registry/$name:$tag-aot"));
}

#[test]
fn images_are_chosen_in_one_place() {
    let chosen = yaml("debug-echo/kustomization.yaml")["images"].clone();
    let named: BTreeSet<String> = chosen
        .as_sequence()
        .unwrap()
        .iter()
        .map(|image| format!("{}:{}", image["name"].as_str().unwrap(), image["newTag"].as_str().unwrap()))
        .collect();
    let used: BTreeSet<String> =
        daemon_set().spec.template.spec.containers.into_iter().map(|container| container.image).collect();
    assert_eq!(named, used);
    for overlay in ["kustomization.yaml", "ha/kustomization.yaml", "aot/kustomization.yaml"] {
        assert!(yaml(overlay).get("images").is_none(), "{overlay}");
    }
}

/// Where kubectl is installed: all variants build, the compiled one differs by its handler's tag only, and the overlay's second image follows the first.
#[test]
fn kustomize_builds_all_variants() {
    let build = |overlay: &str| {
        let output = Command::new("kubectl").arg("kustomize").arg(folder().join(overlay)).output();
        // Not a node's business, so never required.
        let output = output.ok()?;
        assert!(output.status.success(), "{overlay}: {}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let (Some(base), Some(ha), Some(aot)) = (build(""), build("ha"), build("aot")) else { return };
    let handler = "image: localhost/akri-wasm/debug-echo:dev\n";
    assert_eq!(aot, base.replace(handler, &handler.replace(":dev", ":dev-aot")));
    assert_ne!(aot, base);
    let proxy = "image: localhost/akri-wasm/akri-proxy:dev";
    assert_eq!((base.matches(proxy).count(), ha.matches(proxy).count()), (1, 2));
    for kind in ["RuntimeClass", "DaemonSet", "Configuration"] {
        let line = format!("kind: {kind}\n");
        assert!(base.contains(&line) && ha.contains(&line), "{kind}");
    }
}
