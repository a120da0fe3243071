//! x
#![allow(missing_docs)]
pub mod config;
pub mod cri;
pub mod facts;
pub mod handler;
pub mod invocation;
pub mod options;
pub mod plan;
pub mod spec;
pub mod system;
