//! What the kubelet would ask containerd for, made from the DaemonSet: sandbox, containers, volumes. Pure.

use std::collections::HashMap;

use anyhow::{Context, bail};
use k8s_cri::v1;

use crate::manifest::{Container, DaemonSet, PodSpec, Quantity, VolumeSource};

/// The namespace that the pod says it is in.
const NAMESPACE: &str = "default";
/// The kubelet's directory on the node.
const KUBELET: &str = "/var/lib/kubelet/pods";
/// Where containers' output goes on the node.
const LOGS: &str = "/var/log/pods";
/// Shares of a whole processor, in the kernel's measure.
const SHARES: u64 = 1024;

/// A pod of the DaemonSet, as the kubelet would have it run.
#[derive(Clone, Debug)]
pub struct Pod {
    name: String,
    uid: String,
    app: HashMap<String, String>,
    spec: PodSpec,
}

/// A volume, on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeVolume {
    /// A memory-backed directory of the group `group`, at most so many bytes.
    Memory {
        /// Where.
        path: String,
        /// At most.
        bytes: u64,
        /// Whose.
        group: u32,
    },
    /// A directory that is there, or is made.
    Directory {
        /// Where.
        path: String,
    },
}

impl Pod {
    /// A pod of that DaemonSet with this uid.
    pub fn new(set: &DaemonSet, uid: &str) -> Self {
        let short: String = uid.chars().filter(char::is_ascii_alphanumeric).take(5).collect();
        Self {
            name: format!("{}-{short}", set.metadata.name),
            uid: uid.to_owned(),
            app: set.spec.template.metadata.labels.clone().into_iter().collect(),
            spec: set.spec.template.spec.clone(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The DaemonSet's pod.
    pub fn spec(&self) -> &PodSpec {
        &self.spec
    }

    /// Where the kubelet would keep what belongs to it.
    pub fn directory(&self) -> String {
        directory(&self.uid)
    }

    /// Where its containers' output goes.
    pub fn logs(&self) -> String {
        format!("{LOGS}/{NAMESPACE}_{}_{}", self.name, self.uid)
    }

    /// The log of a container, below `logs`.
    pub fn log(&self, container: &str, attempt: u32) -> String {
        format!("{container}/{attempt}.log")
    }

    /// The sandbox.
    pub fn sandbox(&self) -> v1::PodSandboxConfig {
        v1::PodSandboxConfig {
            metadata: Some(v1::PodSandboxMetadata {
                name: self.name.clone(),
                uid: self.uid.clone(),
                namespace: NAMESPACE.to_owned(),
                attempt: 0,
            }),
            hostname: self.name.clone(),
            log_directory: self.logs(),
            labels: self.app.clone().into_iter().chain(self.labels()).collect(),
            linux: Some(v1::LinuxPodSandboxConfig {
                // As the kubelet does with the systemd driver, for a pod that has limits above its requests.
                cgroup_parent: format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
                    self.uid.replace('-', "_")
                ),
                security_context: Some(v1::LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces()),
                    supplemental_groups: vec![self.spec.security_context.fs_group.into()],
                    seccomp: Some(runtime_default()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// A container, for the n-th time.
    ///
    /// # Errors
    /// Where the DaemonSet has no such container, or asks for something that is not carried out here.
    pub fn container(&self, name: &str, attempt: u32) -> anyhow::Result<v1::ContainerConfig> {
        let container =
            self.spec.container(name).with_context(|| format!("the DaemonSet has no container {name}"))?;
        let mounts: anyhow::Result<Vec<v1::Mount>> = container
            .volume_mounts
            .iter()
            .map(|mount| {
                Ok(v1::Mount {
                    container_path: mount.mount_path.clone(),
                    host_path: self.volume(&mount.name)?.path().to_owned(),
                    readonly: mount.read_only,
                    ..Default::default()
                })
            })
            .collect();
        Ok(v1::ContainerConfig {
            metadata: Some(v1::ContainerMetadata { name: name.to_owned(), attempt }),
            image: Some(v1::ImageSpec { image: container.image.clone(), ..Default::default() }),
            args: container.args.clone(),
            envs: container
                .env
                .iter()
                .map(|env| v1::KeyValue { key: env.name.clone(), value: env.value.clone() })
                .collect(),
            mounts: mounts?,
            labels: self
                .labels()
                .chain([("io.kubernetes.container.name".to_owned(), name.to_owned())])
                .collect(),
            log_path: self.log(name, attempt),
            linux: Some(v1::LinuxContainerConfig {
                resources: Some(resources(container)?),
                security_context: Some(self.security(container)?),
            }),
            ..Default::default()
        })
    }

    /// All volumes, on the node.
    ///
    /// # Errors
    /// Where the DaemonSet asks for something that is not carried out here.
    pub fn volumes(&self) -> anyhow::Result<Vec<NodeVolume>> {
        self.spec.volumes.iter().map(|volume| self.volume(&volume.name)).collect()
    }

    /// A volume by its name.
    ///
    /// # Errors
    /// Where there is none, or of a kind that is not carried out here.
    pub fn volume(&self, name: &str) -> anyhow::Result<NodeVolume> {
        let volume = self.spec.volumes.iter().find(|volume| volume.name == name);
        match &volume.with_context(|| format!("the DaemonSet has no volume {name}"))?.source {
            VolumeSource::EmptyDir { medium, size_limit } if medium == "Memory" => Ok(NodeVolume::Memory {
                path: format!("{}/volumes/kubernetes.io~empty-dir/{name}", self.directory()),
                bytes: size_limit.parse::<Quantity>()?.0,
                group: self.spec.security_context.fs_group,
            }),
            VolumeSource::HostPath { path, kind } if kind == "DirectoryOrCreate" => {
                Ok(NodeVolume::Directory { path: path.clone() })
            }
            other => bail!("volume {name} is of a kind that is not carried out here: {other:?}"),
        }
    }

    fn labels(&self) -> impl Iterator<Item = (String, String)> {
        let pairs = [("name", &self.name[..]), ("namespace", NAMESPACE), ("uid", &self.uid)];
        pairs.map(|(key, value)| (format!("io.kubernetes.pod.{key}"), value.to_owned())).into_iter()
    }

    fn security(&self, container: &Container) -> anyhow::Result<v1::LinuxContainerSecurityContext> {
        let security = &container.security_context;
        if security.run_as_non_root && security.run_as_user == 0 {
            bail!("container {} runs as root, and says that it must not", container.name);
        }
        if security.seccomp_profile.kind != "RuntimeDefault" {
            bail!("container {}: seccomp profile {:?}", container.name, security.seccomp_profile);
        }
        Ok(v1::LinuxContainerSecurityContext {
            capabilities: Some(v1::Capability {
                drop_capabilities: security.capabilities.drop.clone(),
                ..Default::default()
            }),
            namespace_options: Some(namespaces()),
            run_as_user: Some(v1::Int64Value { value: security.run_as_user.into() }),
            run_as_group: Some(v1::Int64Value { value: security.run_as_group.into() }),
            readonly_rootfs: security.read_only_root_filesystem,
            supplemental_groups: vec![self.spec.security_context.fs_group.into()],
            no_new_privs: !security.allow_privilege_escalation,
            // What the kubelet masks in every container.
            masked_paths: ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats"]
                .into_iter()
                .chain(["/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi"])
                .chain(["/sys/firmware", "/sys/devices/virtual/powercap"])
                .map(str::to_owned)
                .collect(),
            readonly_paths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
                .map(str::to_owned)
                .to_vec(),
            seccomp: Some(runtime_default()),
            ..Default::default()
        })
    }
}

impl NodeVolume {
    /// Where it is on the node.
    pub fn path(&self) -> &str {
        match self {
            NodeVolume::Memory { path, .. } | NodeVolume::Directory { path } => path,
        }
    }
}

/// Where the kubelet would keep what belongs to the pod of this uid.
pub(crate) fn directory(uid: &str) -> String {
    format!("{KUBELET}/{uid}")
}

fn resources(container: &Container) -> anyhow::Result<v1::LinuxContainerResources> {
    let quantity = |of: &std::collections::BTreeMap<String, String>, name: &str| {
        let text = of.get(name).with_context(|| format!("container {} says no {name}", container.name))?;
        Ok::<_, anyhow::Error>(text.parse::<Quantity>()?.0)
    };
    if container.resources.limits.keys().any(|name| name != "memory") {
        bail!("container {}: only memory is limited here", container.name);
    }
    Ok(v1::LinuxContainerResources {
        cpu_shares: i64::try_from(quantity(&container.resources.requests, "cpu")? * SHARES / 1000)?,
        memory_limit_in_bytes: i64::try_from(quantity(&container.resources.limits, "memory")?)?,
        ..Default::default()
    })
}

/// As for a pod that shares nothing with its node, nor PIDs among its containers.
fn namespaces() -> v1::NamespaceOption {
    v1::NamespaceOption {
        network: v1::NamespaceMode::Pod.into(),
        pid: v1::NamespaceMode::Container.into(),
        ipc: v1::NamespaceMode::Pod.into(),
        ..Default::default()
    }
}

fn runtime_default() -> v1::SecurityProfile {
    v1::SecurityProfile {
        profile_type: v1::security_profile::ProfileType::RuntimeDefault.into(),
        localhost_ref: String::new(),
    }
}
