//! What belongs to an image: every document and blob that its root names, within bounds.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::origin::Origin;
use super::referrers::{Attached, Referrers};
use super::{TransferError, is_index, is_manifest};
use crate::digest::Digest;
use crate::inspect::{Limits, Problem, wire};
use crate::spec;

/// Begins the types of layers that are not to be distributed, OCI's and Docker's.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#non-distributable-layers>
const FOREIGN: [&str; 2] = [
    "application/vnd.oci.image.layer.nondistributable.v1.",
    "application/vnd.docker.image.rootfs.foreign.diff.",
];

/// A descriptor that was parsed: it names something that can be looked for and verified.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub digest: Digest,
    pub size: u64,
    pub media_type: String,
    pub platform: Option<oci_spec::image::Platform>,
}

/// A verified document. Its bytes are never written anew, so its digest stays.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Bytes,
}

/// An image, from its root down.
#[derive(Debug)]
pub(super) struct Graph {
    /// What all others hang on.
    pub root: Blob,
    /// By height: those of the first name blobs only, the last is the root alone.
    pub levels: Vec<Vec<Document>>,
    /// Each once.
    pub blobs: Vec<Blob>,
    /// Layers that stay where they are.
    pub foreign: Vec<Blob>,
    /// What is about the image and goes along.
    pub attached: Vec<Attached>,
}

/// What a document names.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub documents: Vec<Blob>,
    blobs: Vec<Blob>,
    foreign: Vec<Blob>,
}

impl Graph {
    pub(super) async fn walk(
        origin: &Origin,
        root: Blob,
        jobs: usize,
        limits: &Limits,
        referrers: Referrers,
    ) -> Result<Self, TransferError> {
        let mut walk = Walk { limits, descriptors: 0, bytes: 0, found: HashMap::new() };
        let (mut blobs, mut foreign) = (Unique::default(), Unique::default());
        let mut level = vec![root.clone()];
        for depth in 0.. {
            if level.is_empty() {
                break;
            }
            if depth > limits.depth {
                return Err(damaged(&root.digest, Problem::TooDeep(limits.depth)));
            }
            let fetched: Vec<(Blob, Bytes)> = stream::iter(level)
                .map(|blob| async {
                    let bytes = origin.document(&blob, limits).await?;
                    Ok::<_, TransferError>((blob, bytes))
                })
                .buffered(jobs)
                .try_collect()
                .await?;
            level = Vec::new();
            for (blob, bytes) in fetched {
                let named = walk.take(&blob, bytes)?;
                let known = |child: &Blob| walk.found.contains_key(&child.digest);
                level.extend(named.documents.into_iter().filter(|child| !known(child)));
                named.blobs.into_iter().for_each(|blob| blobs.push(blob));
                named.foreign.into_iter().for_each(|blob| foreign.push(blob));
            }
            // Named twice on one level.
            let mut seen = HashSet::new();
            level.retain(|blob| seen.insert(blob.digest.clone()));
        }
        let attached = match referrers {
            Referrers::Left => Vec::new(),
            Referrers::Along => {
                let more = |more: Vec<Blob>| more.into_iter().for_each(|blob| blobs.push(blob));
                walk.attached(origin, limits, more).await?
            }
        };
        let levels = walk.levels(&root.digest);
        Ok(Self { root, levels, blobs: blobs.0, foreign: foreign.0, attached })
    }

    pub(super) fn documents(&self) -> impl Iterator<Item = &Document> {
        self.levels.iter().flatten()
    }
}

/// Descriptors, each digest once.
#[derive(Default)]
struct Unique(Vec<Blob>);

impl Unique {
    fn push(&mut self, blob: Blob) {
        if self.0.iter().all(|known| known.digest != blob.digest) {
            self.0.push(blob);
        }
    }
}

pub(super) struct Walk<'a> {
    limits: &'a Limits,
    descriptors: usize,
    bytes: u64,
    found: HashMap<Digest, (Document, Vec<Digest>)>,
}

impl Walk<'_> {
    /// Those that were found so far, in order.
    pub(super) fn documents(&self) -> Vec<Digest> {
        let mut all: Vec<Digest> = self.found.keys().cloned().collect();
        all.sort();
        all
    }

    pub(super) fn take(&mut self, blob: &Blob, bytes: Bytes) -> Result<Named, TransferError> {
        let too_many = |what, limit| damaged(&blob.digest, Problem::TooMany { what, limit });
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limits.documents {
            return Err(too_many("bytes of documents", self.limits.documents));
        }
        let named = Named::read(&blob.digest, &blob.media_type, &bytes)?;
        self.descriptors += named.documents.len() + named.blobs.len() + named.foreign.len();
        if self.descriptors > self.limits.descriptors {
            return Err(too_many("descriptors", self.limits.descriptors as u64));
        }
        let (digest, media_type) = (blob.digest.clone(), blob.media_type.clone());
        let children = named.documents.iter().map(|child| child.digest.clone()).collect();
        self.found.insert(digest.clone(), (Document { digest, media_type, bytes }, children));
        Ok(named)
    }

    /// The documents by height, so that none comes before what it names.
    fn levels(mut self, root: &Digest) -> Vec<Vec<Document>> {
        let mut heights = HashMap::new();
        self.height(root, &mut heights);
        let mut levels: Vec<Vec<Document>> = Vec::new();
        let mut order: Vec<_> = heights.into_iter().collect();
        order.sort_by(|(a, height_a), (b, height_b)| (height_a, a).cmp(&(height_b, b)));
        for (digest, height) in order {
            levels.resize_with(levels.len().max(height + 1), Vec::new);
            if let Some((document, _)) = self.found.remove(&digest) {
                levels[height].push(document);
            }
        }
        levels
    }

    /// No document can name itself: it would have to hold its own digest.
    fn height(&self, digest: &Digest, heights: &mut HashMap<Digest, usize>) -> usize {
        if let Some(height) = heights.get(digest) {
            return *height;
        }
        let children = self.found.get(digest).map(|(_, children)| children.as_slice()).unwrap_or_default();
        let height = children.iter().map(|child| self.height(child, heights) + 1).max().unwrap_or(0);
        heights.insert(digest.clone(), height);
        height
    }
}

impl Named {
    /// Configuration and layers.
    pub(super) fn into_blobs(self) -> Vec<Blob> {
        self.blobs
    }

    /// What a document of `media_type` names; an error unless it is that and nothing else.
    pub(super) fn read(digest: &Digest, media_type: &str, bytes: &[u8]) -> Result<Self, TransferError> {
        let wrong = |problem| damaged(digest, problem);
        let what = if is_index(media_type) { "image index" } else { "image manifest" };
        let malformed = |source| wrong(Problem::Malformed { what, source });
        let document: wire::Document = serde_json::from_slice(bytes).map_err(malformed)?;
        if document.schema_version != u64::from(spec::SCHEMA_VERSION) {
            return Err(wrong(Problem::SchemaVersion(document.schema_version)));
        }
        if let Some(found) = document.media_type.filter(|found| found != media_type) {
            let found = found.chars().take(160).collect();
            return Err(wrong(Problem::MediaType { expected: media_type.to_owned(), found }));
        }
        let is_both =
            document.manifests.is_some() && (document.config.is_some() || document.layers.is_some());
        if document.fs_layers.is_some() || is_both {
            return Err(wrong(Problem::Ambiguous));
        }
        let missing = || malformed(serde::de::Error::custom("required fields are missing"));
        let mut named = Self::default();
        if is_index(media_type) {
            for entry in document.manifests.ok_or_else(missing)? {
                let (blob, _) = descriptor(digest, entry)?;
                if !is_index(&blob.media_type) && !is_manifest(&blob.media_type) {
                    return Err(not_an_image(&blob));
                }
                named.documents.push(blob);
            }
            return Ok(named);
        }
        let config = document.config.ok_or_else(missing)?;
        named.blobs.push(descriptor(digest, config)?.0);
        for layer in document.layers.ok_or_else(missing)? {
            let (blob, elsewhere) = descriptor(digest, layer)?;
            let list = if elsewhere { &mut named.foreign } else { &mut named.blobs };
            list.push(blob);
        }
        Ok(named)
    }
}

/// A descriptor in the document `within`, and whether its content lies elsewhere by intention.
pub(super) fn descriptor(within: &Digest, value: serde_json::Value) -> Result<(Blob, bool), TransferError> {
    let has_urls = value.get("urls").and_then(|urls| urls.as_array()).is_some_and(|urls| !urls.is_empty());
    let descriptor: wire::Descriptor = serde_json::from_value(value)
        .map_err(|source| damaged(within, Problem::Malformed { what: "descriptor", source }))?;
    let digest = descriptor.digest.parse().map_err(|error| damaged(within, Problem::Digest(error)))?;
    let media_type = descriptor.media_type;
    let foreign = has_urls || FOREIGN.iter().any(|start| media_type.starts_with(start));
    Ok((Blob { digest, size: descriptor.size, media_type, platform: descriptor.platform }, foreign))
}

pub(super) fn not_an_image(blob: &Blob) -> TransferError {
    let media_type = blob.media_type.chars().take(160).collect();
    TransferError::MediaType { digest: blob.digest.to_string(), media_type }
}

pub(super) fn damaged(digest: &Digest, source: Problem) -> TransferError {
    TransferError::Damaged { at: digest.to_string(), source }
}
