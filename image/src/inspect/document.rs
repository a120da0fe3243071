//! Reading an index or a manifest, and that it is that and nothing else.

use super::Problem;
use super::wire::Document;
use crate::spec;

/// What a document is parsed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Index,
    Manifest,
}

impl Document {
    /// The document, unless it cannot be one, and all that is wrong with it.
    pub(crate) fn read(media_type: Option<&str>, bytes: &[u8], kind: Kind) -> (Option<Self>, Vec<Problem>) {
        let what = match kind {
            Kind::Index => "image index",
            Kind::Manifest => "image manifest",
        };
        let document: Self = match serde_json::from_slice(bytes) {
            Ok(document) => document,
            Err(source) => return (None, vec![Problem::Malformed { what, source }]),
        };
        let mut problems = Vec::new();
        if document.schema_version != u64::from(spec::SCHEMA_VERSION) {
            problems.push(Problem::SchemaVersion(document.schema_version));
        }
        if let (Some(expected), Some(found)) = (media_type, &document.media_type)
            && expected != found
        {
            let found = found.chars().take(160).collect();
            problems.push(Problem::MediaType { expected: expected.to_owned(), found });
        }
        let is_index = document.manifests.is_some();
        let is_manifest = document.config.is_some() || document.layers.is_some();
        if document.fs_layers.is_some() || (is_index && is_manifest) {
            problems.push(Problem::Ambiguous);
            return (None, problems);
        }
        let complete = match kind {
            Kind::Index => is_index,
            Kind::Manifest => document.config.is_some() && document.layers.is_some(),
        };
        if !complete {
            let source = serde::de::Error::custom("required fields are missing");
            problems.push(Problem::Malformed { what, source });
            return (None, problems);
        }
        (Some(document), problems)
    }
}
