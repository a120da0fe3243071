//! Labels the node, so that a RuntimeClass can schedule by it.

use std::str::FromStr;

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
/// # Errors
/// With what kubectl says.
pub fn label(system: &dyn System, node: &NodeName, handler: &HandlerName) -> Result<String, LabelError> {
    let label = format!("{}={handler}", spec::NODE_LABEL);
    let command = Invocation::look("kubectl", &["label", "node", &node.0, &label, "--overwrite"]);
    let why = match system.run(&command) {
        Ok(ran) if ran.succeeded() => return Ok(label),
        Ok(ran) => ran.complaint(),
        Err(error) => error.to_string(),
    };
    Err(LabelError::Kubectl { command: command.to_string(), why })
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
