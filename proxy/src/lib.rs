//! `akri-proxy`: the native half of a discovery handler in WebAssembly.
//!
//! The Akri Agent calls a handler by gRPC, and a wasm module cannot be called. So the proxy registers and serves in its
//! place, and talks to the handler by files and a FIFO in a directory that both share (`docs/exchange.md`).
//!
//! The map, in the direction in which data flows:
//! - `exchange/`: the directory; its `hub` task owns jobs and the handler's state;
//! - `accept`, `grpc`, `service`, `stream`: what the agent sees of a job; `slot`, `registration`: how it finds us;
//! - `list`, `room`: the one form in which lists are held, and how much of it there may be;
//! - `state`: what is known, in one place; `health`, `metrics`, `http`: who reads it;
//! - `serve`: puts these together; `commands/`: one file for each command of the program;
//! - `agent`: the other side, played: for `akri-proxy discover`;
//! - `akri`, `pb`: what Akri fixes; `policy`, `removals`, `details`: pure decisions.
//!
//! The proxy knows no device protocol, and nothing of how the handler is run.

mod accept;
mod agent;
pub mod akri;
mod burst;
pub mod cli;
mod clock;
mod commands;
pub mod details;
mod exchange;
mod grpc;
pub mod health;
mod http;
mod inotify;
mod list;
mod lock;
pub mod logging;
mod metrics;
pub mod pb;
pub mod policy;
mod random;
mod registration;
mod removals;
mod room;
mod serve;
mod service;
pub mod shutdown;
mod slot;
pub mod state;
mod stream;
mod unix;
mod watched;

pub use commands::run;
pub use serve::{Bound, ServeConfig, ServeError, serve};
pub use slot::SlotError;
