//! `wasm-image` through its public door: the library's functions and the command.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test itself does")]

mod build;
mod check;
mod corruption;
mod foreign;
mod hostile;
mod native;
mod registry;
mod replace;
mod support;
