//! The manifests that users apply, parsed: the one source of what the pod is.
//!
//! Only what `pod` knows how to carry out is accepted within the pod: a field that it would pass over in silence is an
//! error here, so that the tested pod and the applied one cannot drift apart.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;
use serde_yaml_ng::Value;
use thiserror::Error;

/// `runtimeclass/class/runtimeclass.yaml`.
pub const RUNTIME_CLASS: &str = include_str!("../../runtimeclass/class/runtimeclass.yaml");
/// `runtimeclass/debug-echo/daemonset.yaml`.
pub const DAEMON_SET: &str = include_str!("../../runtimeclass/debug-echo/daemonset.yaml");
/// `runtimeclass/aot/handler.yaml`: what the overlay changes of the DaemonSet.
pub const COMPILED_HANDLER: &str = include_str!("../../runtimeclass/aot/handler.yaml");
/// `runtimeclass/udev/daemonset.yaml`.
pub const UDEV_DAEMON_SET: &str = include_str!("../../runtimeclass/udev/daemonset.yaml");
/// `runtimeclass/udev/configuration.yaml`.
pub const UDEV_CONFIGURATION: &str = include_str!("../../runtimeclass/udev/configuration.yaml");
/// `runtimeclass/debug-echo/configuration.yaml`.
pub const CONFIGURATION: &str = include_str!("../../runtimeclass/debug-echo/configuration.yaml");

/// Why a manifest is not understood.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The YAML is not what is expected.
    #[error("cannot read the {kind}: {source}")]
    Yaml {
        /// What was read.
        kind: &'static str,
        /// Why not.
        source: serde_yaml_ng::Error,
    },
    /// An overlay for what is not there.
    #[error("an overlay changes the container {0:?}, and the DaemonSet has none of that name")]
    NoContainer(String),
    /// Not a quantity.
    #[error("{0:?} is no quantity that is understood: a whole number with m, Ki, Mi, Gi or nothing")]
    Quantity(String),
}

/// The DaemonSet, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonSet {
    /// Its name and labels.
    pub metadata: Metadata,
    /// What it wants.
    pub spec: DaemonSetSpec,
}

/// Names and labels.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Metadata {
    /// The name; a pod template has none.
    #[serde(default)]
    pub name: String,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// `spec` of a DaemonSet.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DaemonSetSpec {
    /// Which pods are its own.
    pub selector: Value,
    /// How it updates.
    pub update_strategy: Value,
    /// How long a new pod has to be ready.
    pub min_ready_seconds: u32,
    /// The pod.
    pub template: Template,
}

/// A pod template.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Labels and annotations.
    pub metadata: Metadata,
    /// The pod.
    pub spec: PodSpec,
}

/// The pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodSpec {
    /// Who runs it.
    pub runtime_class_name: String,
    /// A token for the API server.
    pub automount_service_account_token: bool,
    /// Variables for all services.
    pub enable_service_links: bool,
    /// From SIGTERM to SIGKILL.
    pub termination_grace_period_seconds: u32,
    /// Which nodes.
    pub node_selector: BTreeMap<String, String>,
    /// What holds for all containers.
    pub security_context: PodSecurity,
    /// The containers.
    pub containers: Vec<Container>,
    /// The volumes.
    pub volumes: Vec<Volume>,
}

/// `securityContext` of a pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodSecurity {
    /// The group of volumes, and of every process.
    pub fs_group: u32,
    /// Which system calls.
    pub seccomp_profile: Seccomp,
}

/// A seccomp profile.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seccomp {
    /// `RuntimeDefault`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A container.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// When to pull.
    pub image_pull_policy: String,
    /// Instead of the image's.
    #[serde(default)]
    pub args: Vec<String>,
    /// The environment.
    #[serde(default)]
    pub env: Vec<Env>,
    /// Ports, for people and probes.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// May it be counted on.
    pub readiness_probe: Option<Probe>,
    /// Does it live.
    pub liveness_probe: Option<Probe>,
    /// What it may use.
    pub resources: Resources,
    /// What it may do.
    pub security_context: Security,
    /// Where volumes are.
    pub volume_mounts: Vec<VolumeMount>,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Env {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A port.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its number.
    pub container_port: u16,
}

/// A probe, of the one kind that is used.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// By the gRPC health service.
    pub grpc: GrpcProbe,
}

/// Where to ask.
#[derive(Clone, Debug, Deserialize)]
pub struct GrpcProbe {
    /// The port.
    pub port: u16,
    /// The service.
    pub service: String,
}

/// What a container asks for and may use at most.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// For the scheduler, and for shares of the processor.
    pub requests: BTreeMap<String, String>,
    /// The end.
    pub limits: BTreeMap<String, String>,
}

/// `securityContext` of a container.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Security {
    /// Refuse root.
    #[serde(default)]
    pub run_as_non_root: bool,
    /// The user.
    pub run_as_user: u32,
    /// The group.
    pub run_as_group: u32,
    /// Nothing may be written but volumes.
    pub read_only_root_filesystem: bool,
    /// `false` is no_new_privs.
    pub allow_privilege_escalation: bool,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// Which system calls.
    pub seccomp_profile: Seccomp,
}

/// Capabilities.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// Taken away.
    pub drop: Vec<String>,
}

/// Where a volume is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeMount {
    /// Which one.
    pub name: String,
    /// Where.
    pub mount_path: String,
    /// Whether nothing may be written there.
    #[serde(default)]
    pub read_only: bool,
}

/// A volume.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub source: VolumeSource,
}

/// What a volume is.
#[derive(Clone, Debug, Deserialize)]
pub enum VolumeSource {
    /// A directory as long as the pod lives.
    #[serde(rename = "emptyDir", rename_all = "camelCase")]
    EmptyDir {
        /// `Memory`.
        medium: String,
        /// At most.
        size_limit: String,
    },
    /// A directory of the node.
    #[serde(rename = "hostPath")]
    HostPath {
        /// Which one.
        path: String,
        /// What has to be there.
        #[serde(rename = "type")]
        kind: String,
    },
}

/// Akri's Configuration, as far as a handler sees it.
#[derive(Clone, Debug, Deserialize)]
pub struct Configuration {
    /// Its name.
    pub metadata: Metadata,
    /// What it wants.
    pub spec: ConfigurationSpec,
}

/// `spec` of a Configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigurationSpec {
    /// Whom to ask for what.
    pub discovery_handler: DiscoveryHandler,
    /// Users of a device at one time.
    pub capacity: u32,
}

/// Whom to ask for what.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiscoveryHandler {
    /// The handler's name.
    pub name: String,
    /// The details, verbatim.
    pub discovery_details: String,
}

/// A patch of a DaemonSet that changes images, and nothing else.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ImageOverlay {
    #[serde(rename = "apiVersion")]
    _version: Value,
    #[serde(rename = "kind")]
    _kind: Value,
    #[serde(rename = "metadata")]
    _metadata: Metadata,
    spec: OverlaySpec,
}

/// `spec` of the patch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverlaySpec {
    template: OverlayTemplate,
}

/// The pod template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverlayTemplate {
    spec: OverlayPod,
}

/// The pod.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverlayPod {
    containers: Vec<OverlayContainer>,
}

/// A container's image.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverlayContainer {
    name: String,
    image: String,
}

/// A quantity in the base unit: bytes, or thousandths of a processor for `m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity(pub u64);

impl DaemonSet {
    /// The one that users apply.
    ///
    /// # Errors
    /// Where it holds something that is not carried out here.
    pub fn ours() -> Result<Self, ManifestError> {
        parse("DaemonSet", DAEMON_SET)
    }

    /// The same with the overlay `aot` over it, whose handler was compiled ahead of time.
    ///
    /// # Errors
    /// Where either holds something that is not carried out here.
    pub fn compiled() -> Result<Self, ManifestError> {
        let mut set = Self::ours()?;
        let overlay: ImageOverlay = parse("overlay", COMPILED_HANDLER)?;
        for changed in overlay.spec.template.spec.containers {
            let same = |container: &&mut Container| container.name == changed.name;
            let container = set.spec.template.spec.containers.iter_mut().find(same);
            container.ok_or_else(|| ManifestError::NoContainer(changed.name.clone()))?.image = changed.image;
        }
        Ok(set)
    }

    /// The same with the udev handler.
    ///
    /// # Errors
    /// Where it holds something that is not carried out here.
    pub fn udev() -> Result<Self, ManifestError> {
        parse("DaemonSet", UDEV_DAEMON_SET)
    }
}

impl Configuration {
    /// The one that users apply.
    ///
    /// # Errors
    /// Where it is not understood.
    pub fn ours() -> Result<Self, ManifestError> {
        parse("Configuration", CONFIGURATION)
    }

    /// The same for the udev handler.
    ///
    /// # Errors
    /// Where it is not understood.
    pub fn udev() -> Result<Self, ManifestError> {
        parse("Configuration", UDEV_CONFIGURATION)
    }
}

impl PodSpec {
    /// The container of this name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }
}

impl FromStr for Quantity {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, ManifestError> {
        let wrong = || ManifestError::Quantity(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor = match unit {
            "" | "m" => 1,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.parse().ok().and_then(|number: u64| number.checked_mul(factor)).map(Self).ok_or_else(wrong)
    }
}

fn parse<T: serde::de::DeserializeOwned>(kind: &'static str, text: &str) -> Result<T, ManifestError> {
    serde_yaml_ng::from_str(text).map_err(|source| ManifestError::Yaml { kind, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for (text, value) in [("24Mi", 24 << 20), ("10m", 10), ("16Ki", 16384), ("5", 5)] {
            assert_eq!(text.parse::<Quantity>().unwrap(), Quantity(value));
        }
        for text in ["", "Mi", "1.5Gi", "24MB", "-1", "99999999999999999Gi"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_field_that_would_not_be_carried_out_is_refused() {
        assert!(DaemonSet::ours().is_ok());
        let more =
            DAEMON_SET.replace("enableServiceLinks: false", "enableServiceLinks: false\n      hostPID: true");
        assert!(parse::<DaemonSet>("DaemonSet", &more).unwrap_err().to_string().contains("hostPID"));
    }
}
