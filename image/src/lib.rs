//! Builds, checks and inspects OCI images of WebAssembly modules and of static binaries, without Docker.
//!
//! - [`build()`] packs a module, or one static binary per platform, as an image layout or archive. Equal input gives
//!   equal digests.
//! - [`inspect()`] verifies every digest, size and `diff_id` of a layout or archive, which it does not trust.
//! - [`transfer()`] moves an image between registries, layouts and archives without changing a byte.
//! - [`check()`] holds a module against the rules for a WASI command.
//!
//! Each value that a person types is a type here whose only entrance is [`FromStr`](std::str::FromStr). The crate
//! knows nothing of Akri and runs nothing.

mod build;
mod check;
mod digest;
mod elf;
mod inspect;
mod layer;
mod layout;
mod module;
mod platform;
mod progress;
mod reference;
mod registry;
mod settings;
pub mod spec;
mod timestamp;
mod transfer;

pub use build::{AllowedImports, BuildError, Built, BuiltManifest, Contents, NativeBinary, Recipe, build};
pub use check::{CheckLimits, CheckReport, check};
pub use digest::{Algorithm, Digest, DigestError};
pub use elf::ElfError;
pub use inspect::{
    ConfigSummary, Finding, InputKind, InspectError, Limits, Node, Problem, Report, Severity, inspect,
};
pub use layout::{Output, OutputError};
pub use module::{CommandKind, ModuleError, ModuleSummary};
pub use platform::{Platform, PlatformError};
pub use progress::{Progress, Quiet};
pub use reference::{Reference, ReferenceError};
pub use registry::{
    ClientOptions, Clock, Credential, CredentialError, CredentialSource, FailureKind, InputError, PlainHttp,
    RegistryClient, RegistryError, RetryPolicy, Secret, SystemClock,
};
pub use settings::{EntryName, KeyValue, SettingError, User};
pub use timestamp::{Timestamp, TimestampError};
pub use transfer::{
    BlobOutcome, BlobReport, Place, PlaceError, Selector, Transfer, TransferError, TransferReport, transfer,
};
