//! Write an Akri discovery handler in WebAssembly: a name and one function, details in, devices out.
//!
//! ```no_run
//! use akri_handler_sdk::{Context, Device, Failure, Handler};
//!
//! #[derive(serde::Deserialize)]
//! struct Details {
//!     greetings: Vec<String>,
//! }
//!
//! fn discover(details: &Details, _: &Context) -> Result<Vec<Device>, Failure> {
//!     Ok(details.greetings.iter().map(|text| Device::new(text).property("GREETING", text)).collect())
//! }
//!
//! fn main() {
//!     Handler::new("hello").run(discover);
//! }
//! ```
//!
//! The SDK does the rest: it announces the handler, waits for work without waking the processor, serves any number of
//! jobs, looks again when the re-scan interval is due or an input changed, writes answers whole or not at all, says which
//! field of the details is wrong, keeps a crash over one job from costing the others anything, and leaves when asked to.
//! There is no thread, no async and no network in it. It compiles natively too, so that a handler has ordinary tests:
//! call the function with [`Context::for_tests`].
//!
//! The map: `handler` is what an author sees, `runtime` the loop, `jobs` what is asked and when it is due, `files` what is
//! read and written in the exchange directory, `directory` how, and `doorbell` the wait (of these two there is one for WASI
//! and one for native), `crash` what a panic leaves behind.
//! The messages are `akri-exchange`'s; nothing here spells a file name.

mod context;
mod crash;
mod details;
#[cfg_attr(target_os = "wasi", path = "directory_wasi.rs")]
#[cfg_attr(not(target_os = "wasi"), path = "directory_native.rs")]
mod directory;
#[cfg_attr(target_os = "wasi", path = "doorbell_wasi.rs")]
#[cfg_attr(not(target_os = "wasi"), path = "doorbell_native.rs")]
mod doorbell;
mod files;
mod handler;
mod jobs;
mod runtime;
mod settings;

pub use akri_exchange::{Device, DeviceSpec, Failure, FailureKind, Mount, Properties, PropertyValue};
pub use context::Context;
pub use handler::Handler;
