//! JSON as small as a guest needs it: a writer for the messages, a reader for requests, and serde for an author's details.
//!
//! Of our own, because serde_json costs a guest some 50 kB, more than everything else in it: tables for floating point,
//! which few details hold, and error texts with positions, which nobody sees who wrote YAML. It takes and refuses what
//! serde_json does, and gives the same values (a struct from a list of its values apart, which nobody means); `tests/it/json.rs` compares the two on whatever proptest thinks of.
//! The host reads what handlers write by serde_json all the same.

mod error;
mod map_key;
mod number;
mod reader;
mod text;
mod typed;
mod writer;

pub use error::Error;
pub use typed::from_str;

pub(crate) use reader::Reader;
pub(crate) use text::has_control;
pub(crate) use writer::Writer;
