//! The crate through its public door, on machines in folders. Natively only: the same calls are made under WASI.
#![cfg(not(target_os = "wasi"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod costs;
mod devices;
#[allow(dead_code, reason = "the handler's tests use it, too")]
mod fixture;
mod odd;
