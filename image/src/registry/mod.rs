//! A client of one OCI registry: `client` is the door, `transport` sends, all else says what is sent. Trusts no
//! registry: every body is bounded, every digest computed, credentials go to the registry's own origin and to token
//! services that it names by https. Knows nothing of layouts and of which blobs belong together.
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>

mod auth;
mod blobs;
mod challenge;
mod client;
mod credentials;
mod docker_config;
mod download;
mod error;
mod helper;
mod host;
mod manifests;
mod referrers;
mod retry;
mod secret;
mod tags;
mod tls;
mod transport;
mod upload;

pub(crate) use blobs::{Mismatch, Verifier};
pub use client::{ClientOptions, RegistryClient};
pub use credentials::{Credential, CredentialError, CredentialSource};
pub(crate) use download::Download;
pub use error::{FailureKind, RegistryError};
pub use host::PlainHttp;
pub(crate) use manifests::{ManifestRef, Subject};
pub use retry::{Clock, RetryPolicy, SystemClock};
pub use secret::Secret;
pub use upload::InputError;
pub(crate) use upload::{BlobInput, BlobStream, UploadOutcome};
