//! Prepares a node for WebAssembly containers by crun with WasmEdge, and proves that it runs them.
//!
//! Data flows one way: [`facts::detect`] finds out what is so, [`plan::plan`] says what would be done and why, and
//! [`apply::apply`] does it, so that it may be ended at any point. [`doctor`] looks at the same facts and then runs a
//! module in a pod ([`trial`]). [`uninstall`] puts back what [`record`] remembers.
//!
//! - Everything goes through one door, [`system::System`]: the files of a root, its programs, its containerd.
//! - [`config`] reads containerd's configuration by meaning and changes it by text: what people wrote stays byte for byte.
//! - [`on_host`] alone goes another way: it leaves a container for the host, and runs this very program there.
//! - [`plan`] is pure: each distribution and each kind of containerd (the plain one, k3s, RKE2, MicroK8s) is a matter of
//!   facts, which tests can make up.
//!
//! The crate knows nothing of Akri, and downloads nothing but packages by the distribution's own means.

pub mod apply;
pub mod config;
pub mod cri;
pub mod doctor;
pub mod facts;
pub mod handler;
pub mod invocation;
pub mod on_host;
pub mod options;
pub mod plan;
mod printable;
pub mod record;
mod restart;
pub mod spec;
pub mod system;
pub mod trial;
pub mod uninstall;
