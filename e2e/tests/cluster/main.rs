//! The whole on a real cluster: kubelet, API server, RuntimeClass, and the manifests as users apply them.
//!
//! Run by scripts/e2e-cluster, which starts the cluster and pushes the images. Each test has its own namespace and its own
//! directory for Akri's sockets, and waits for what the API server, containerd or the agent's double says, never for time.
//! Those that restart the node's services, take it something or take the time run alone, the others beside each other.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod agent;
mod cluster;
mod command;
mod crashes;
mod deployment;
mod devices;
mod events;
mod examples;
mod highly_available;
mod inspecting;
mod many;
mod mistakes;
mod namespace;
mod openyurt;
mod preparing;
mod private;
mod restarts;
mod udev;
mod variants;
