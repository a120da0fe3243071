//! The contract, through its public door.
// proptest, FIFOs and threads: natively only.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod docs;
mod golden;
mod hostile;
mod json;
mod round_trip;
