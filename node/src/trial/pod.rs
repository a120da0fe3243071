//! One pod of a trial: on the node's own network, confined as pods should be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_cri::v1;

use super::LABEL;
use crate::cri::{Cri, CriError};

/// Who runs it: nobody in particular.
const USER: i64 = 65532;
/// What a container may take: the engine is the most of it.
const MEMORY: i64 = 64 << 20;
/// The most that is read of a log.
const MAX_LOG: u64 = 64 << 10;
/// Where systemd makes the cgroups of a trial.
const SLICE: &str = "/system.slice";

pub(super) struct Pod {
    id: String,
    config: v1::PodSandboxConfig,
    logs: PathBuf,
}

/// How a container ended, and what it said.
pub(super) struct Said {
    pub code: i32,
    pub text: String,
}

impl Pod {
    pub(super) async fn start(
        cri: &mut Cri,
        handler: &str,
        systemd: bool,
        folder: &Path,
        name: &str,
    ) -> Result<Self, CriError> {
        let logs = folder.join(name);
        let config = v1::PodSandboxConfig {
            metadata: Some(v1::PodSandboxMetadata {
                name: format!("wasm-node-{name}"),
                uid: super::word(),
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            log_directory: logs.to_string_lossy().into_owned(),
            labels: [(LABEL.0.to_owned(), LABEL.1.to_owned())].into(),
            linux: Some(v1::LinuxPodSandboxConfig {
                // A folder of its own below the root where systemd does not want a slice.
                cgroup_parent: if systemd { SLICE.to_owned() } else { String::new() },
                security_context: Some(v1::LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces()),
                    seccomp: Some(runtime_default()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let id = cri.run_sandbox(&config, handler).await?;
        Ok(Self { id, config, logs })
    }

    /// Runs a container to its end.
    pub(super) async fn run(
        &self,
        cri: &mut Cri,
        name: &str,
        image: &str,
        argument: &str,
        limit: Duration,
    ) -> Result<Said, CriError> {
        let log = format!("{name}.log");
        let config = v1::ContainerConfig {
            metadata: Some(v1::ContainerMetadata { name: name.to_owned(), attempt: 0 }),
            image: Some(v1::ImageSpec { image: image.to_owned(), ..Default::default() }),
            args: vec![argument.to_owned()],
            labels: [(LABEL.0.to_owned(), LABEL.1.to_owned())].into(),
            log_path: log.clone(),
            linux: Some(v1::LinuxContainerConfig {
                resources: Some(v1::LinuxContainerResources {
                    memory_limit_in_bytes: MEMORY,
                    ..Default::default()
                }),
                security_context: Some(v1::LinuxContainerSecurityContext {
                    capabilities: Some(v1::Capability {
                        drop_capabilities: vec!["ALL".to_owned()],
                        ..Default::default()
                    }),
                    namespace_options: Some(namespaces()),
                    run_as_user: Some(v1::Int64Value { value: USER }),
                    run_as_group: Some(v1::Int64Value { value: USER }),
                    readonly_rootfs: true,
                    no_new_privs: true,
                    seccomp: Some(runtime_default()),
                    ..Default::default()
                }),
            }),
            ..Default::default()
        };
        let id = cri.start(&self.id, &self.config, config).await?;
        let status = cri.ended(&id, limit).await?;
        Ok(Said { code: status.exit_code, text: said(&self.logs.join(log)) })
    }

    pub(super) async fn stop(self, cri: &mut Cri) -> Result<(), CriError> {
        cri.remove_sandbox(&self.id).await
    }
}

/// What a log's lines say, times and streams left out.
/// <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>
fn said(log: &Path) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(log) {
        // What cannot be read was not said.
        let _ = file.take(MAX_LOG).read_to_end(&mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).collect();
    lines.join("\n")
}

/// On the node's own network: whether there is a pod network is another question.
fn namespaces() -> v1::NamespaceOption {
    v1::NamespaceOption {
        network: v1::NamespaceMode::Node.into(),
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
