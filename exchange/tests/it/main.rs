//! The contract, through its public door.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod docs;
mod golden;
mod hostile;
mod json;
mod round_trip;
