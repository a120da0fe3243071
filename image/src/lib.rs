//! Builds, checks and inspects OCI images of WebAssembly modules and of static binaries, without Docker.
//!
//! - [`build()`] packs a module, or one static binary per platform, as an image layout or archive. Equal input gives
//!   equal digests.
//! - [`extract()`] takes the module out of an image of any of the forms in which modules are distributed.
//! - [`sbom()`] takes out what is attached to an image about the parts of its program.
//! - [`inspect()`] verifies every digest, size and `diff_id` of a layout or archive, which it does not trust.
//! - [`transfer()`] moves an image between registries, layouts and archives without changing a byte.
//! - [`engine`] runs modules and compiles them ahead of time, on WasmEdge, with the feature `wasmedge`.
//! - [`check()`] holds a module against the rules for a WASI command.
//!
//! Each value that a person types is a type here whose only entrance is [`FromStr`](std::str::FromStr). The crate
//! knows nothing of Akri; nothing but [`engine`] runs anything. Without the feature `registry` it talks to no network.

mod aot;
mod build;
mod check;
mod digest;
mod elf;
pub mod engine;
mod engines;
mod extract;
mod inspect;
mod layer;
mod layout;
mod module;
mod platform;
mod print;
#[cfg(feature = "registry")]
mod progress;
mod reference;
#[cfg(feature = "registry")]
mod registry;
mod selector;
mod settings;
pub mod spec;
mod timestamp;
#[cfg(feature = "registry")]
mod transfer;

pub use aot::AotError;
pub use build::{
    AllowedImports, BuildError, BuildFormat, Built, BuiltManifest, BuiltReferrer, CompiledModule, Contents,
    NativeBinary, Recipe, Sbom, Setting, build,
};
pub use check::{CheckLimits, CheckReport, check};
pub use digest::{Algorithm, Digest, DigestError};
pub use elf::ElfError;
pub use engines::{Answer, Engine, ImageFacts, Support, Verdict, verdicts};
pub use extract::{ExtractError, Extracted, ImageForm, Listed, LocalImage, extract, extract_within, sbom};
pub use inspect::{
    ConfigSummary, Finding, FoundModule, InputKind, InspectError, Limits, Node, Problem, Report, Severity,
    inspect,
};
pub use layout::{Output, OutputError};
pub use module::{
    AotSection, BinaryKind, CommandKind, CustomSection, Export, ExternKind, Feature, Import, Memory,
    ModuleError, ModuleReport, ModuleSummary, Table,
};
pub use platform::{Platform, PlatformError};
#[cfg(feature = "registry")]
pub use progress::{Progress, Quiet};
pub use reference::{Reference, ReferenceError};
#[cfg(feature = "registry")]
pub use registry::{
    ClientOptions, Clock, Credential, CredentialError, CredentialSource, FailureKind, InputError, PlainHttp,
    RegistryClient, RegistryError, RetryPolicy, Secret, SystemClock,
};
pub use selector::{Selector, SelectorError};
pub use settings::{EntryName, KeyValue, SettingError, User};
pub use timestamp::{Timestamp, TimestampError};
#[cfg(feature = "registry")]
pub use transfer::{
    BlobOutcome, BlobReport, Place, PlaceError, Referrers, Transfer, TransferError, TransferReport, transfer,
};
