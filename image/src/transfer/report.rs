//! What was moved, for people and machines.

use crate::digest::Digest;
use crate::transfer::graph::Blob;

/// A transfer that went well.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TransferReport {
    /// From where.
    pub source: String,
    /// To where.
    pub destinations: Vec<String>,
    /// The image's digest, the same on both sides.
    pub digest: Digest,
    /// Index or manifest.
    pub media_type: String,
    /// Each blob once.
    pub blobs: Vec<BlobReport>,
    /// How many manifests and indexes it has.
    pub documents: usize,
    /// What is attached to it and went along.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<Digest>,
    /// The bytes of the blobs that were sent.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
}

/// What became of a blob.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BlobReport {
    /// Which.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What it is.
    pub media_type: String,
    /// What became of it.
    pub outcome: BlobOutcome,
    /// How often its transfer broke off and went on in the middle.
    pub resumed: u32,
}

/// What can become of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlobOutcome {
    /// Its bytes were moved.
    Sent,
    /// It was there, intact as far as can be known.
    Existed,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It is not to be copied: its manifest names other addresses for it.
    Foreign,
}

impl BlobReport {
    pub(super) fn new(blob: &Blob, outcome: BlobOutcome, resumed: u32) -> Self {
        let (digest, media_type) = (blob.digest.clone(), blob.media_type.clone());
        Self { digest, size: blob.size, media_type, outcome, resumed }
    }
}

impl std::fmt::Display for BlobOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Sent => "sent",
            Self::Existed => "existed",
            Self::Mounted => "mounted",
            Self::Foreign => "foreign",
        })
    }
}
