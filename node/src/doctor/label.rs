//! Labels the node, so that a RuntimeClass can schedule by it.

use std::path::Path;
use std::str::FromStr;

use crate::facts::Kind;
use crate::handler::HandlerName;
use crate::invocation::Invocation;
use crate::spec;
use crate::system::System;

/// Longest name of a node: a DNS subdomain. <https://kubernetes.io/docs/concepts/architecture/nodes/>
const MAX: usize = 253;

/// The name of a node in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName(String);

/// Why a node was not labelled.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// No DNS subdomain.
    #[error("{0:?} is no node's name: a-z, 0-9, '-' and '.', as `kubectl get nodes` prints it")]
    Name(String),
    /// kubectl.
    #[error("cannot label the node by `{command}`: {why}")]
    Kubectl {
        /// What was run.
        command: String,
        /// What it said.
        why: String,
    },
}

impl FromStr for NodeName {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = (1..=MAX).contains(&text.len())
            && text.bytes().all(|byte| letter(byte) || byte == b'-' || byte == b'.')
            && text.bytes().next().is_some_and(letter)
            && text.bytes().last().is_some_and(letter);
        if good { Ok(Self(text.to_owned())) } else { Err(LabelError::Name(text.chars().take(MAX).collect())) }
    }
}

/// Says in Kubernetes that this node runs that runtime.
///
/// As whom `KUBECONFIG` says; else as the node's kubelet, where its kubeconfig is, for a kubelet may label its own node and no
/// other (NodeRestriction); else as whoever kubectl takes by itself.
///
/// # Errors
/// With what kubectl says.
pub fn label(
    system: &dyn System,
    kind: Kind,
    node: &NodeName,
    handler: &HandlerName,
) -> Result<String, LabelError> {
    let label = format!("{}={handler}", spec::NODE_LABEL);
    let (program, first, kubelet) = kubectl(kind);
    let mut command = Invocation::look(program, first);
    if std::env::var_os("KUBECONFIG").is_none() && system.tree().exists(Path::new(kubelet)) {
        command = command.and(&["--kubeconfig", kubelet]);
    }
    let command = command.and(&["label", "node", &node.0, &label, "--overwrite"]);
    let why = match system.run(&command) {
        Ok(ran) if ran.succeeded() => return Ok(label),
        Ok(ran) => ran.complaint(),
        Err(error) => error.to_string(),
    };
    Err(LabelError::Kubectl { command: command.to_string(), why })
}

/// Who brings which kubectl along, with its first arguments, and where the kubelet's kubeconfig is.
/// <https://docs.k3s.io/cluster-access>, <https://docs.rke2.io/cluster_access>,
/// <https://kubernetes.io/docs/setup/best-practices/certificates/>
fn kubectl(kind: Kind) -> (&'static str, &'static [&'static str], &'static str) {
    match kind {
        Kind::Plain => ("kubectl", &[], "/etc/kubernetes/kubelet.conf"),
        Kind::K3s => ("k3s", &["kubectl"], "/var/lib/rancher/k3s/agent/kubelet.kubeconfig"),
        Kind::Rke2 => {
            ("/var/lib/rancher/rke2/bin/kubectl", &[], "/var/lib/rancher/rke2/agent/kubelet.kubeconfig")
        }
        Kind::MicroK8s => ("microk8s", &["kubectl"], "/var/snap/microk8s/current/credentials/kubelet.config"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_subdomains() {
        for text in ["edge-1", "edge.example.org", "a"] {
            assert!(text.parse::<NodeName>().is_ok(), "{text}");
        }
        for text in ["", "-all", "--all", "A", "a b", "a/", ".a"] {
            assert!(text.parse::<NodeName>().is_err(), "{text}");
        }
    }
}
