//! What is attached to an image: manifests whose `subject` is one of its documents. Found by whoever holds the image, believed
//! by what they say themselves.
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage>

use std::collections::HashSet;

use serde_json::{Value, json};

use super::graph::{Blob, Document, Graph, Walk, damaged, descriptor};
use super::origin::Origin;
use super::{TransferError, is_manifest};
use crate::digest::Digest;
use crate::inspect::{Limits, Problem, wire};

/// Most artifacts that go along with one image: a few lists and signatures for each platform.
const MOST: usize = 256;

/// Whether what is attached to an image goes along with it. What is attached to that in turn never does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referrers {
    /// It does.
    #[default]
    Along,
    /// It stays.
    Left,
}

/// An artifact about an image.
#[derive(Debug)]
pub(super) struct Attached {
    pub document: Document,
    /// The document of the image that it is about.
    pub subject: Digest,
    /// What an index says of it.
    pub entry: Value,
}

impl Walk<'_> {
    /// Fetches what is attached to the documents that were found, and hands on the blobs of it.
    pub(super) async fn attached(
        &mut self,
        origin: &Origin,
        limits: &Limits,
        mut blobs: impl FnMut(Vec<Blob>),
    ) -> Result<Vec<Attached>, TransferError> {
        let subjects: Vec<Digest> = self.documents();
        let mut all = Vec::new();
        let mut seen: HashSet<Digest> = subjects.iter().cloned().collect();
        for blob in origin.referrers(&subjects, limits).await? {
            if !is_manifest(&blob.media_type) || !seen.insert(blob.digest.clone()) {
                continue;
            }
            if all.len() == MOST {
                let problem =
                    Problem::TooMany { what: "artifacts attached to one image", limit: MOST as u64 };
                return Err(damaged(&blob.digest, problem));
            }
            let bytes = origin.document(&blob, limits).await?;
            let malformed =
                |source| damaged(&blob.digest, Problem::Malformed { what: "image manifest", source });
            let said: wire::Document = serde_json::from_slice(&bytes).map_err(malformed)?;
            let Some(subject) = said.subject else { continue };
            let (subject, _) = descriptor(&blob.digest, subject)?;
            // A list is no proof: what is about something else is not ours to carry.
            if !subjects.contains(&subject.digest) {
                continue;
            }
            let config = said.config.as_ref().and_then(|config| config.get("mediaType")).cloned();
            let mut entry = json!({
                "mediaType": blob.media_type,
                "digest": blob.digest.to_string(),
                "size": blob.size,
                "artifactType": said.artifact_type.map(Value::from).or(config),
            });
            if !said.annotations.is_empty() {
                entry["annotations"] = json!(said.annotations);
            }
            blobs(self.take(&blob, bytes.clone())?.into_blobs());
            let document = Document { digest: blob.digest, media_type: blob.media_type, bytes };
            all.push(Attached { document, subject: subject.digest, entry });
        }
        Ok(all)
    }
}

impl Graph {
    /// What `index.json` says of all that is attached.
    pub(super) fn attached_entries(&self) -> impl Iterator<Item = Value> {
        self.attached.iter().map(|attached| attached.entry.clone())
    }
}
