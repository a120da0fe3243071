//! `examples/udev-broker` on the node: a wasm container that is given a device as Akri's device plugin gives it, and reads
//! what is on it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::cri::Cri;
use e2e::discovered::{Discovered, discovered};
use e2e::manifest::Quantity;
use e2e::node::Node;
use e2e::say::{Say, ms};
use e2e::{RUNTIME_HANDLER, images, loops, wait};
use k8s_cri::v1;
use serde_yaml_ng::Value;

/// The broker's manifest, as users apply it.
const CONFIGURATION: &str = include_str!("../../../examples/udev-broker/configuration.yaml");
/// The end of the Instance's name: what the agent makes of a device's id.
const HASH: &str = "8120FE";
/// Where the broker's output goes on the node.
const LOGS: &str = "/var/log/pods/udev-broker";
/// Where the kubelet would have its cgroup, as systemd names it.
const CGROUP: &str = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podbroker.slice";
/// For what takes milliseconds.
const LIMIT: Duration = Duration::from_secs(20);
/// What SIGTERM ends a process with.
const TERMINATED: i32 = 128 + 15;

/// The broker's pod on the node.
pub(crate) struct Broker<'n> {
    node: &'n Node,
    cri: Cri,
    spec: Value,
}

impl<'n> Broker<'n> {
    /// Hands the image to the node.
    pub(crate) async fn prepare(node: &'n Node, mut cri: Cri, folder: &Path) -> anyhow::Result<Self> {
        let configuration: Value = serde_yaml_ng::from_str(CONFIGURATION)?;
        let spec = configuration["spec"]["brokerSpec"]["brokerPodSpec"].clone();
        ensure!(spec["runtimeClassName"] == RUNTIME_HANDLER);
        let image = spec["containers"][0]["image"].as_str().context("the broker has no image")?.to_owned();
        images::import(node, &mut cri, folder, &image).await?;
        Ok(Self { node, cri, spec })
    }

    /// With the group of the device's node it reads what is on it, and ends at once; without, it says what is missing.
    pub(crate) async fn reads(
        &mut self,
        proxy: &Path,
        endpoint: &Path,
        rule: &str,
        say: &Say,
    ) -> anyhow::Result<()> {
        let details = serde_json::json!({ "udevRules": [rule], "permissions": "r" }).to_string();
        let device = discovered(proxy, endpoint, &details).await?;
        ensure!(device.device_specs.len() == 1, "{device:?}");
        let group = fs::metadata(self.node.file(&device.device_specs[0].host_path)?)?.gid();
        ensure!(group != 0, "disks belong to a group");

        let sandbox = self.sandbox();
        let id = self.cri.run_sandbox(&sandbox, RUNTIME_HANDLER).await?;
        let told = self.read_and_end(&id, &sandbox, &device, group, say).await;
        self.cri.remove_sandbox(&id).await?;
        fs::remove_dir_all(self.node.file(LOGS)?)?;
        told
    }

    async fn read_and_end(
        &mut self,
        id: &str,
        sandbox: &v1::PodSandboxConfig,
        device: &Discovered,
        group: u32,
        say: &Say,
    ) -> anyhow::Result<()> {
        let refused = self.container(device, 0, None)?;
        let container = self.cri.start(id, sandbox, &refused).await?;
        let status = self.cri.exited(&container, LIMIT).await?;
        let said = self.log(&refused)?;
        ensure!(status.exit_code == 1 && said.contains("supplementalGroups"), "{}: {said}", status.exit_code);

        let config = self.container(device, 1, Some(group))?;
        let container = self.cri.start(id, sandbox, &config).await?;
        let spec = self.cri.inspect(&container).await?.info["runtimeSpec"].clone();
        let rules = spec["linux"]["resources"]["devices"].as_array().context("no rules for devices")?;
        let minor = rdev_minor(&self.node.file(&device.device_specs[0].host_path)?)?;
        let ours = |rule: &&serde_json::Value| rule["minor"] == minor && rule["type"] == "b";
        let access = rules.iter().find(ours).map(|rule| rule["access"].clone());
        ensure!(access == Some("r".into()), "the details' permissions hold: {access:?}");
        let read = wait::until("the broker has read twice", LIMIT, async || {
            let read = chunks(&self.log(&config)?)?;
            Ok((read.len() >= 2).then_some(read))
        })
        .await?;
        let content = loops::content();
        for (offset, bytes) in &read {
            ensure!(content[*offset..].starts_with(bytes), "at {offset} it read {bytes:?}");
        }
        ensure!(read[1].0 == read[0].1.len(), "it reads on: {read:?}");
        say.step(format_args!(
            "the broker reads its device: {}",
            self.log(&config)?.lines().next().unwrap_or("")
        ));

        let (began, grace) = (Instant::now(), self.grace()?);
        self.cri.stop(&container, grace).await?;
        let status = self.cri.exited(&container, LIMIT).await?;
        let took = began.elapsed();
        ensure!(status.exit_code == TERMINATED, "it ended with {}", status.exit_code);
        ensure!(took < Duration::from_secs(grace.into()), "it took {took:?}");
        say.detail(format_args!("and ends {} after SIGTERM", ms(took)));
        Ok(())
    }

    fn grace(&self) -> anyhow::Result<u32> {
        Ok(serde_yaml_ng::from_value(self.spec["terminationGracePeriodSeconds"].clone())?)
    }

    fn sandbox(&self) -> v1::PodSandboxConfig {
        let name = "udev-broker".to_owned();
        v1::PodSandboxConfig {
            metadata: Some(v1::PodSandboxMetadata {
                name: name.clone(),
                uid: name.clone(),
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            hostname: name,
            log_directory: LOGS.to_owned(),
            linux: Some(v1::LinuxPodSandboxConfig {
                cgroup_parent: CGROUP.to_owned(),
                security_context: Some(v1::LinuxSandboxSecurityContext {
                    namespace_options: Some(self.namespaces()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// As `shareProcessNamespace` has it.
    fn namespaces(&self) -> v1::NamespaceOption {
        let shared = self.spec["shareProcessNamespace"] == true;
        let pid = if shared { v1::NamespaceMode::Pod } else { v1::NamespaceMode::Container };
        v1::NamespaceOption { pid: pid.into(), ..Default::default() }
    }

    /// What the kubelet makes of the container with what the device plugin adds to it: variables, each also with the
    /// Instance's hash, and device nodes.
    fn container(
        &self,
        device: &Discovered,
        attempt: u32,
        group: Option<u32>,
    ) -> anyhow::Result<v1::ContainerConfig> {
        let container = &self.spec["containers"][0];
        let security = &container["securityContext"];
        let number = |key: &str| security[key].as_i64().map(|value| v1::Int64Value { value });
        let limit = container["resources"]["limits"]["memory"].as_str().context("no limit of memory")?;
        let variable = |(key, value)| v1::KeyValue { key, value };
        Ok(v1::ContainerConfig {
            metadata: Some(v1::ContainerMetadata { name: "broker".to_owned(), attempt }),
            image: container["image"]
                .as_str()
                .map(|image| v1::ImageSpec { image: image.to_owned(), ..Default::default() }),
            envs: device.variables(HASH).map(variable).collect(),
            devices: device
                .device_specs
                .iter()
                .map(|spec| v1::Device {
                    container_path: spec.container_path.clone(),
                    host_path: spec.host_path.clone(),
                    permissions: spec.permissions.clone(),
                })
                .collect(),
            log_path: format!("{attempt}.log"),
            linux: Some(v1::LinuxContainerConfig {
                resources: Some(v1::LinuxContainerResources {
                    memory_limit_in_bytes: i64::try_from(limit.parse::<Quantity>()?.0)?,
                    ..Default::default()
                }),
                security_context: Some(v1::LinuxContainerSecurityContext {
                    capabilities: Some(v1::Capability {
                        drop_capabilities: vec!["ALL".to_owned()],
                        ..Default::default()
                    }),
                    namespace_options: Some(self.namespaces()),
                    run_as_user: number("runAsUser"),
                    run_as_group: number("runAsGroup"),
                    supplemental_groups: group.map(i64::from).into_iter().collect(),
                    readonly_rootfs: security["readOnlyRootFilesystem"] == true,
                    no_new_privs: security["allowPrivilegeEscalation"] == false,
                    seccomp: Some(v1::SecurityProfile {
                        profile_type: v1::security_profile::ProfileType::RuntimeDefault.into(),
                        ..Default::default()
                    }),
                    ..Default::default()
                }),
            }),
            ..Default::default()
        })
    }

    /// What the container has printed, without what containerd puts before each line.
    fn log(&self, config: &v1::ContainerConfig) -> anyhow::Result<String> {
        let text = fs::read_to_string(self.node.file(&format!("{LOGS}/{}", config.log_path))?)?;
        Ok(text.lines().filter_map(|line| Some(format!("{}\n", line.splitn(4, ' ').nth(3)?))).collect())
    }
}

/// Offsets and bytes of the lines `round N: NODE at OFFSET: BYTES |LETTERS|`.
fn chunks(log: &str) -> anyhow::Result<Vec<(usize, Vec<u8>)>> {
    let chunk = |line: &str| {
        let (head, rest) =
            line.split_once(" |").context("no letters")?.0.rsplit_once(": ").context("no bytes")?;
        let offset = head.rsplit(' ').next().context("no offset")?.parse()?;
        let bytes: Result<_, _> = rest.split(' ').map(|byte| u8::from_str_radix(byte, 16)).collect();
        anyhow::Ok((offset, bytes?))
    };
    log.lines().map(|line| chunk(line).with_context(|| format!("the broker says {line:?}"))).collect()
}

fn rdev_minor(node: &Path) -> anyhow::Result<u32> {
    let rdev = fs::metadata(node).with_context(|| format!("cannot see {}", node.display()))?.rdev();
    Ok(rustix::fs::minor(rdev))
}
