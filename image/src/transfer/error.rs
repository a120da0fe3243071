//! Why an image was not moved.

use std::io;
use std::path::PathBuf;

use crate::inspect::{InspectError, Problem};
use crate::layout::OutputError;
use crate::registry::{FailureKind, InputError, RegistryError};

/// Why an image was not moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// A registry is in the way.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The source cannot be opened.
    #[error(transparent)]
    Open(#[from] InspectError),
    /// The source is damaged.
    #[error("{at}")]
    Damaged {
        /// Where.
        at: String,
        /// How.
        source: Problem,
    },
    /// A blob cannot be read.
    #[error("cannot read {digest}")]
    Input {
        /// Which.
        digest: crate::Digest,
        /// Why not.
        source: InputError,
    },
    /// The layout holds no image, or not that one.
    #[error("{path} holds no image {wanted}: {there}")]
    NoImage {
        /// Which layout or archive.
        path: PathBuf,
        /// The tag or digest.
        wanted: String,
        /// What is there.
        there: String,
    },
    /// The layout holds several.
    #[error("{path} holds several images, say which by :TAG or @DIGEST: {there}")]
    Several {
        /// Which layout or archive.
        path: PathBuf,
        /// What is there.
        there: String,
    },
    /// No such platform.
    #[error("the image has nothing for {platform}, only {there}")]
    NoPlatform {
        /// Which was asked for.
        platform: String,
        /// What is there.
        there: String,
    },
    /// Several platforms of one.
    #[error(
        "{count} manifests are for the platforms that were asked for: an index of only these would be another image with another digest; ask for one platform, or for none to copy all"
    )]
    SeveralPlatforms {
        /// How many.
        count: usize,
    },
    /// Something to be copied that is no image.
    #[error("{digest} is a {media_type:?}, neither an index nor a manifest: it cannot be copied")]
    MediaType {
        /// Which.
        digest: String,
        /// What it calls itself.
        media_type: String,
    },
    /// A tag and a digest in one destination, or a digest that is not the image's.
    #[error("the image's digest is {found}: it cannot be pushed as {wanted}")]
    OtherDigest {
        /// What the destination says.
        wanted: String,
        /// What the image has.
        found: crate::Digest,
    },
    /// Several outputs.
    #[error("{0} cannot be written together with other destinations: several names are for registries only")]
    Together(String),
    /// The output.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Writing failed.
    #[error("cannot write {0}")]
    Write(PathBuf, #[source] io::Error),
}

impl TransferError {
    /// What it means to the caller.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Registry(error) => error.kind(),
            Self::Input { source: InputError::Registry(error), .. } => error.kind(),
            Self::Damaged { .. } | Self::Input { .. } => FailureKind::Integrity,
            Self::NoImage { .. } | Self::NoPlatform { .. } => FailureKind::NotFound,
            Self::Open(InspectError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                FailureKind::NotFound
            }
            _ => FailureKind::Other,
        }
    }
}
