//! What can be wrong with an image.

use std::io;

use crate::digest::{Digest, DigestError};
use crate::extract::ExtractError;
use crate::module::ModuleError;
use crate::print::Clean;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The image is damaged, hostile or not an image.
    Error,
    /// Worth knowing; the image is sound as far as it was looked at.
    Note,
}

/// One thing that is wrong, and where.
#[derive(Debug)]
pub struct Finding {
    /// The way to it, such as `index.json > manifests[0] > layers[1]`.
    pub at: String,
    /// What it is.
    pub problem: Problem,
}

/// The things that can be wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file of the layout is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// A link, device, FIFO, folder.
    #[error("{path} is no regular file ({kind})")]
    NotRegular {
        /// The path in the layout or archive.
        path: String,
        /// What it is instead.
        kind: &'static str,
    },
    /// The system could not read it.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The path in the layout or archive.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// An absolute path or one with `..`.
    #[error("the archive's member {0:?} points outside")]
    PathTrick(String),
    /// Two members of one name: readers disagree on which counts.
    #[error("the archive holds {0} twice")]
    Duplicate(String),
    /// The tar ends early.
    #[error("the archive is cut off within {0}")]
    Truncated(String),
    /// A tar header that makes no sense.
    #[error("the archive is damaged: bad header at byte {0}")]
    DamagedArchive(u64),
    /// `oci-layout` says something else than 1.0.0.
    #[error("the layout's version is {0:?}, not 1.0.0")]
    LayoutVersion(String),
    /// Not the JSON that it should be.
    #[error("this is no valid {what}: {source}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// `schemaVersion` is not 2.
    #[error("schemaVersion is {0}, not 2")]
    SchemaVersion(u64),
    /// A document that may be read as index or as manifest: CVE-2021-41190.
    #[error("the document is a manifest and an index at once")]
    Ambiguous,
    /// `mediaType` in the document differs from the descriptor's.
    #[error("the document calls itself {found:?}, its descriptor {expected:?}")]
    MediaType {
        /// What the descriptor says.
        expected: String,
        /// What the document says.
        found: String,
    },
    /// No digest that can be verified.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A descriptor's size is wrong.
    #[error("{digest} has {found} bytes, its descriptor says {expected}")]
    Size {
        /// Which blob.
        digest: Digest,
        /// What the descriptor says.
        expected: u64,
        /// The blob's length.
        found: u64,
    },
    /// A blob is not what its name says.
    #[error("{expected} is damaged: its content has the digest {found}")]
    Content {
        /// The blob's name.
        expected: Digest,
        /// The digest of what it holds.
        found: Digest,
    },
    /// The content embedded in a descriptor is another one.
    #[error("the content embedded in the descriptor of {0} is not that blob's")]
    Embedded(Digest),
    /// A document that no registry would take.
    #[error("{size} bytes are over the limit of {limit} for a document")]
    TooLarge {
        /// Its length.
        size: u64,
        /// See [`Limits`](super::Limits).
        limit: u64,
    },
    /// Indexes within indexes.
    #[error("indexes lie more than {0} deep")]
    TooDeep(usize),
    /// A limit on the whole.
    #[error("more than {limit} {what}: the rest was not looked at")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// See [`Limits`](super::Limits).
        limit: u64,
    },
    /// As many layers as `diff_ids`, always.
    #[error("the manifest has {layers} layers, the configuration {diff_ids} diff_ids")]
    LayerCount {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// The uncompressed layer is another one than the configuration says.
    #[error("the uncompressed layer has the digest {found}, the configuration says {expected}")]
    DiffId {
        /// What the configuration says.
        expected: Digest,
        /// What was computed.
        found: Digest,
    },
    /// gzip says no.
    #[error("the layer cannot be decompressed: {0}")]
    Decompress(io::Error),
    /// Index and configuration disagree.
    #[error("the index says {index:?}, the configuration {config:?}")]
    Platform {
        /// What the index says.
        index: String,
        /// What the configuration says.
        config: String,
    },
    /// An index entry that containerd cannot choose by platform.
    #[error("the entry has no platform")]
    NoPlatform,
    /// No binary, or not the whole of one.
    #[error(transparent)]
    Module(ModuleError),
    /// A module that no engine takes.
    #[error("the module is not valid: {}", Clean(.0))]
    InvalidModule(String),
    /// A module that is there by all signs, but was not got at.
    #[error("the module was not looked into: {}{}", .0, source_of(.0))]
    NotLookedInto(Box<ExtractError>),
    /// A compression or media type whose content cannot be looked into.
    #[error("the diff_id was not verified: {0:?} is not decompressed here")]
    Unverified(String),
}

impl Problem {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::NoPlatform | Self::Unverified(_) => Severity::Note,
            Self::NotLookedInto(error) => Self::severity_of_extract(error),
            _ => Severity::Error,
        }
    }
}

impl serde::Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut object = serializer.serialize_struct("Finding", 3)?;
        object.serialize_field("severity", &self.problem.severity())?;
        object.serialize_field("at", &self.at)?;
        object.serialize_field("message", &self.problem.to_string())?;
        object.end()
    }
}

/// The cause, for a report has one line for each finding.
fn source_of(error: &ExtractError) -> String {
    std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default()
}
