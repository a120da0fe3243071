//! x
#![allow(missing_docs)]
pub mod apply;
pub mod config;
pub mod cri;
pub mod doctor;
pub mod facts;
pub mod handler;
pub mod invocation;
pub mod options;
pub mod plan;
pub mod record;
mod restart;
pub mod spec;
pub mod system;
pub mod trial;
pub mod uninstall;
