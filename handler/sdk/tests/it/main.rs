//! The SDK's loop through its public door: `Handler::run_in` in a thread, the test being the proxy beside it.
// proptest, FIFOs and threads: natively only.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod answers;
mod crashes;
mod exchange;
mod hostile;
mod lifecycle;
mod running;
mod waking;
