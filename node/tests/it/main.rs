//! `wasm-node` through its public door: on played nodes, by its command, and on a real one.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test itself does")]

mod applying;
mod commands;
mod killing;
mod layouts;
mod node;
mod packages;
mod played;
mod testing;
