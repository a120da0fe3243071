//! The proxy through its public door: a fake agent (a real tonic client) on one side, a scripted handler on the other.

#![allow(unreachable_pub, reason = "a test binary has no outside")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod commands;
mod faults;
mod generated;
mod health;
mod hostile;
mod load;
mod memory;
mod policy;
mod registration;
mod several;
mod streams;
mod support;
mod waking;
mod wasm;
