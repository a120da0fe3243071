//! Where an image comes from: one face for registries, layouts and archives.

use std::cell::Cell;

use bytes::Bytes;

use super::graph::{Blob, damaged, descriptor, not_an_image};
use super::local::{Local, LocalStream};
use super::place::Place;
use super::{TransferError, is_index, is_manifest};
use crate::digest::Digest;
use crate::inspect::{Limits, Problem};
use crate::reference::Reference;
use crate::registry::{
    BlobInput, BlobStream, ClientOptions, Download, InputError, ManifestRef, RegistryClient, Verifier,
};

/// An opened source.
pub(super) enum Origin {
    Local(Local),
    Registry(Box<Remote>),
}

/// A repository, and the root that was fetched by its name.
pub(super) struct Remote {
    client: RegistryClient,
    repository: String,
    root: std::sync::OnceLock<(Digest, Bytes)>,
}

impl Origin {
    pub(super) fn open(place: &Place, options: ClientOptions) -> Result<Self, TransferError> {
        Ok(match place {
            Place::Registry(reference) => Self::Registry(Box::new(Remote {
                client: RegistryClient::new(reference.registry(), options)?,
                repository: reference.repository().to_owned(),
                root: std::sync::OnceLock::new(),
            })),
            Place::Layout(path, _) | Place::Archive(path, _) => {
                Self::Local(Local::open(path, &Limits::default())?)
            }
        })
    }

    /// The registry and repository, if it is one.
    pub(super) fn repository(&self) -> Option<(&str, &str)> {
        match self {
            Self::Local(_) => None,
            Self::Registry(remote) => Some((remote.client.name(), &remote.repository)),
        }
    }

    /// What `place` names.
    pub(super) async fn root(&self, place: &Place) -> Result<Blob, TransferError> {
        match (self, place) {
            (Self::Local(local), Place::Layout(_, selector) | Place::Archive(_, selector)) => {
                local.root(selector.as_ref())
            }
            (Self::Registry(remote), Place::Registry(reference)) => remote.root(reference).await,
            _ => unreachable!("the place is the one that was opened"),
        }
    }

    /// An index or manifest, verified.
    pub(super) async fn document(&self, blob: &Blob, limits: &Limits) -> Result<Bytes, TransferError> {
        if !is_index(&blob.media_type) && !is_manifest(&blob.media_type) {
            return Err(not_an_image(blob));
        }
        if blob.size > limits.document {
            let problem = Problem::TooLarge { size: blob.size, limit: limits.document };
            return Err(damaged(&blob.digest, problem));
        }
        match self {
            Self::Local(local) => {
                local.whole(blob, limits.document).map_err(|problem| damaged(&blob.digest, problem))
            }
            Self::Registry(remote) => {
                if let Some((digest, bytes)) = remote.root.get()
                    && *digest == blob.digest
                {
                    return Ok(bytes.clone());
                }
                let reference = ManifestRef::Digest(&blob.digest);
                let manifest =
                    remote.client.manifest(&remote.repository, &reference, limits.document).await?;
                let found = manifest.bytes.len() as u64;
                if found != blob.size {
                    let problem = Problem::Size { digest: blob.digest.clone(), expected: blob.size, found };
                    return Err(damaged(&blob.digest, problem));
                }
                Ok(manifest.bytes)
            }
        }
    }

    /// What is said to be about these documents: to be held against what it says itself.
    pub(super) async fn referrers(
        &self,
        subjects: &[Digest],
        limits: &Limits,
    ) -> Result<Vec<Blob>, TransferError> {
        let remote = match self {
            Self::Local(local) => return Ok(local.attached()),
            Self::Registry(remote) => remote,
        };
        let mut all = Vec::new();
        for subject in subjects {
            let listed = remote.client.referrers(&remote.repository, subject, limits).await?;
            for entry in listed {
                all.push(descriptor(subject, entry)?.0);
            }
        }
        Ok(all)
    }

    /// A blob to be read.
    pub(super) fn blob<'a>(&'a self, blob: &'a Blob) -> OriginBlob<'a> {
        OriginBlob { origin: self, blob, resumed: Cell::new(0) }
    }
}

impl Remote {
    async fn root(&self, reference: &Reference) -> Result<Blob, TransferError> {
        let name = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => ManifestRef::Digest(digest),
            (None, tag) => ManifestRef::Tag(tag.unwrap_or("latest")),
        };
        let limit = Limits::default().document;
        let manifest = self.client.manifest(&self.repository, &name, limit).await?;
        /// What a document may say about itself.
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Named {
            media_type: Option<String>,
        }
        // The document's own word counts more than a header, which no digest covers.
        let own = serde_json::from_slice::<Named>(&manifest.bytes).ok().and_then(|named| named.media_type);
        let media_type = own.or(manifest.media_type).unwrap_or_default();
        let size = manifest.bytes.len() as u64;
        let blob = Blob { digest: manifest.digest.clone(), size, media_type, platform: None };
        if !is_index(&blob.media_type) && !is_manifest(&blob.media_type) {
            return Err(not_an_image(&blob));
        }
        self.root.get_or_init(|| (manifest.digest, manifest.bytes));
        Ok(blob)
    }
}

/// One blob of a source.
pub(super) struct OriginBlob<'a> {
    origin: &'a Origin,
    blob: &'a Blob,
    resumed: Cell<u32>,
}

impl OriginBlob<'_> {
    /// How often reading it had to go on after it broke off.
    pub(super) fn resumed(&self) -> u32 {
        self.resumed.get()
    }
}

impl<'a> BlobInput for OriginBlob<'a> {
    type Stream = OriginStream<'a>;

    async fn open(&self) -> Result<OriginStream<'a>, InputError> {
        Ok(match self.origin {
            Origin::Local(local) => OriginStream::Local(local.stream(self.blob)),
            Origin::Registry(remote) => {
                let (digest, size) = (&self.blob.digest, self.blob.size);
                let download = Download::new(&remote.client, &remote.repository, digest, size);
                OriginStream::Registry(Box::new((download, Verifier::new(digest, size))))
            }
        })
    }
}

/// A blob being read.
pub(super) enum OriginStream<'a> {
    Local(LocalStream),
    Registry(Box<(Download<'a>, Verifier)>),
}

impl OriginStream<'_> {
    /// How often it had to go on after it broke off.
    pub(super) fn resumed(&self) -> u32 {
        match self {
            Self::Local(_) => 0,
            Self::Registry(parts) => parts.0.resumed(),
        }
    }
}

impl BlobStream for OriginStream<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, InputError> {
        let (download, verifier) = match self {
            Self::Local(stream) => return stream.next().await,
            Self::Registry(parts) => (&mut parts.0, &mut parts.1),
        };
        let failed = |error| InputError::Registry(Box::new(error));
        let bytes = download.next().await.map_err(failed)?;
        let verdict = match &bytes {
            Some(bytes) => verifier.pass(bytes),
            None => verifier.end(),
        };
        verdict.map_err(|mismatch| failed(download.wrong_length(mismatch)))?;
        Ok(bytes)
    }
}
