//! The whole, on processes and on a node. Needs what `make image` builds, and for the node root.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod broker;
mod node;
mod processes;
mod registry;
mod support;
mod udev;
