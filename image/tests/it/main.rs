//! `wasm-image` through its public door: the library's functions and the command.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test itself does")]

mod attached;
mod build;
mod by_hand;
mod check;
mod compiled;
mod corruption;
#[cfg(feature = "wasmedge")]
mod engine;
mod engines;
mod extract;
mod foreign;
mod formats;
mod held;
mod hostile;
mod hostile_layers;
mod memory;
mod modules;
mod native;
mod registry;
mod replace;
mod specification;
mod support;
