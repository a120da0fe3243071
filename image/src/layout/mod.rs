//! Writing image layouts and archives: blobs by digest, and a result that is there whole or not at all.

mod archive;
mod blobs;
#[cfg(feature = "registry")]
mod incoming;
mod staging;

pub(crate) use archive::write_archive;
pub(crate) use blobs::{BlobStore, StoredBlob};
#[cfg(feature = "registry")]
pub(crate) use incoming::Incoming;
pub(crate) use staging::Staging;
pub use staging::{Output, OutputError};
