//! containerd's configuration: read by meaning, changed by text. What people wrote stays byte for byte.
//!
//! `document` reads a file, `block` is the part of a file that is ours, `runtime` a runtime's table, `effective` what
//! containerd makes of all files together.

mod block;
mod document;
mod effective;
mod runtime;

pub use block::{Block, split};
pub use document::{ConfigError, ConfigVersion, Document};
pub use effective::Effective;
pub use runtime::{RuntimeTable, render_runtime};
