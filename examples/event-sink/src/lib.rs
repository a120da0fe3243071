//! A service that takes CloudEvents in HTTP's binary mode: prints each as a line of JSON, and answers with an event, its receipt.
//!
//! `event` says what an event is, `serve` who may send one and how much of it.

mod event;
mod serve;

pub use event::{Event, EventError};
pub use serve::serve;
