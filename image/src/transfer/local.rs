//! An image layout or archive as a source. Opens nothing through links, believes no length and no digest.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::graph::{Blob, descriptor};
use super::{TransferError, is_index, is_manifest};
use crate::digest::Digest;
use crate::inspect::{Limits, Problem, Severity, Source, read, wire};
use crate::registry::{InputError, Mismatch, Verifier};
use crate::selector::Selector;
use crate::spec;

/// How much is read at once.
const BUFFER: u64 = 256 * 1024;
/// How many buffers may wait to be sent.
const AHEAD: usize = 2;

/// An opened layout or archive.
#[derive(Debug)]
pub(super) struct Local {
    path: PathBuf,
    source: Arc<Source>,
    entries: Vec<Entry>,
}

/// An entry of `index.json`.
#[derive(Debug)]
struct Entry {
    blob: Blob,
    names: Vec<String>,
    /// Whether it is about an image, and none itself.
    attached: bool,
}

impl Local {
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, TransferError> {
        let (source, findings) = Source::open(path, limits)?;
        let at = |at: &str| format!("{}: {at}", path.display());
        let damaged = |name: &str, source| TransferError::Damaged { at: at(name), source };
        let bad = |problem: &Problem| problem.severity() == Severity::Error;
        if let Some(finding) = findings.into_iter().find(|finding| bad(&finding.problem)) {
            return Err(damaged(&finding.at, finding.problem));
        }
        let file = |name: &'static str| {
            let member = source.member(name).map_err(|problem| damaged(name, problem))?;
            if member.size > limits.document {
                let problem = Problem::TooLarge { size: member.size, limit: limits.document };
                return Err(damaged(name, problem));
            }
            read(member.reader, name, limits.document).map_err(|problem| damaged(name, problem))
        };
        let malformed = |what| {
            move |source| TransferError::Damaged { at: at(what), source: Problem::Malformed { what, source } }
        };
        let marker: wire::Marker =
            serde_json::from_slice(&file(spec::LAYOUT_FILE)?).map_err(malformed(spec::LAYOUT_FILE))?;
        if marker.image_layout_version != spec::LAYOUT_VERSION {
            let version = marker.image_layout_version.chars().take(40).collect();
            return Err(damaged(spec::LAYOUT_FILE, Problem::LayoutVersion(version)));
        }
        let index: wire::Document =
            serde_json::from_slice(&file(spec::INDEX_FILE)?).map_err(malformed(spec::INDEX_FILE))?;
        let manifests = index.manifests.unwrap_or_default();
        if manifests.len() > limits.descriptors {
            let limit = limits.descriptors as u64;
            return Err(damaged(spec::INDEX_FILE, Problem::TooMany { what: "descriptors", limit }));
        }
        let within = Digest::of(&[]);
        let entries = manifests.into_iter().map(|value| {
            let artifact = value.get("artifactType").is_some_and(serde_json::Value::is_string);
            let names: Vec<String> = [spec::ANNOTATION_REF_NAME, spec::ANNOTATION_CONTAINERD_NAME]
                .iter()
                .filter_map(|key| value.get("annotations")?.get(key)?.as_str().map(str::to_owned))
                .collect();
            match descriptor(&within, value) {
                Ok((blob, _)) => {
                    let attached = artifact && names.is_empty() && blob.media_type == spec::MEDIA_MANIFEST;
                    Ok(Entry { blob, names, attached })
                }
                Err(TransferError::Damaged { source, .. }) => Err(damaged(spec::INDEX_FILE, source)),
                Err(error) => Err(error),
            }
        });
        let entries = entries.collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), source: Arc::new(source), entries })
    }

    /// The image that `selector` names, or the only one.
    pub(super) fn root(&self, selector: Option<&Selector>) -> Result<Blob, TransferError> {
        let images = self
            .entries
            .iter()
            .filter(|Entry { blob, .. }| is_index(&blob.media_type) || is_manifest(&blob.media_type));
        let mut chosen: Vec<&Entry> = match selector {
            // What is about an image is not meant where there is one.
            None if self.entries.iter().any(|entry| !entry.attached) => {
                images.filter(|entry| !entry.attached).collect()
            }
            None => images.collect(),
            Some(Selector::Digest(digest)) => images.filter(|entry| entry.blob.digest == *digest).collect(),
            Some(Selector::Name(tag)) => images.filter(|entry| entry.names.contains(tag)).collect(),
        };
        chosen.sort_by(|a, b| a.blob.digest.cmp(&b.blob.digest));
        chosen.dedup_by(|a, b| a.blob.digest == b.blob.digest);
        let path = self.path.clone();
        match chosen[..] {
            [only] => Ok(only.blob.clone()),
            [] => {
                let wanted = selector.map(Selector::to_string).unwrap_or_default();
                Err(TransferError::NoImage { path, wanted, there: self.there() })
            }
            _ => Err(TransferError::Several { path, there: self.there() }),
        }
    }

    /// The entries that are about others.
    pub(super) fn attached(&self) -> Vec<Blob> {
        self.entries.iter().filter(|entry| entry.attached).map(|entry| entry.blob.clone()).collect()
    }

    fn there(&self) -> String {
        const MOST: usize = 20;
        if self.entries.is_empty() {
            return "it is empty".to_owned();
        }
        let shown = self.entries.iter().take(MOST).map(|entry| {
            let name = entry.names.first().map(|name| name.chars().take(128).collect::<String>());
            let name = name.map(|name| format!(":{}", name.escape_debug()));
            format!("{}@{}", name.unwrap_or_default(), entry.blob.digest)
        });
        let more = self.entries.len().saturating_sub(MOST);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        shown.collect::<Vec<_>>().join(", ") + &more
    }

    /// A small blob, whole and verified.
    pub(super) fn whole(&self, blob: &Blob, limit: u64) -> Result<Bytes, Problem> {
        let path = blob.digest.blob_path();
        let member = self.source.member(&path)?;
        if member.size.max(blob.size) > limit {
            return Err(Problem::TooLarge { size: member.size.max(blob.size), limit });
        }
        check_size(blob, member.size)?;
        let bytes = Bytes::from(read(member.reader, &path, limit)?);
        let mut verifier = Verifier::new(&blob.digest, blob.size);
        verifier.pass(&bytes).and_then(|()| verifier.end()).map_err(|mismatch| problem(blob, mismatch))?;
        Ok(bytes)
    }

    /// A blob of any length, verified while it is read. A thread of its own reads ahead of what is sent.
    pub(super) fn stream(&self, blob: &Blob) -> LocalStream {
        if blob.size <= BUFFER {
            return LocalStream::Whole(Some(self.whole(blob, BUFFER)));
        }
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (source, blob) = (Arc::clone(&self.source), blob.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(problem) = pump(&source, &blob, &sender) {
                // Whoever reads may have gone: then nobody wants to know.
                let _ = sender.blocking_send(Err(problem));
            }
        });
        LocalStream::Pieces(receiver, true)
    }
}

/// A blob of a layout being read.
pub(super) enum LocalStream {
    Whole(Option<Result<Bytes, Problem>>),
    /// The last piece has not come yet, if true.
    Pieces(mpsc::Receiver<Result<Option<Bytes>, Problem>>, bool),
}

impl LocalStream {
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, InputError> {
        match self {
            Self::Whole(bytes) => Ok(bytes.take().transpose()?.filter(|bytes| !bytes.is_empty())),
            Self::Pieces(_, false) => Ok(None),
            Self::Pieces(receiver, open) => match receiver.recv().await {
                Some(Ok(Some(bytes))) => Ok(Some(bytes)),
                Some(Ok(None)) => {
                    *open = false;
                    Ok(None)
                }
                Some(Err(problem)) => Err(problem.into()),
                None => Err(InputError::Gone),
            },
        }
    }
}

/// Reads, verifies and hands on, until nobody takes it any more.
fn pump(
    source: &Source,
    blob: &Blob,
    sender: &mpsc::Sender<Result<Option<Bytes>, Problem>>,
) -> Result<(), Problem> {
    let path = blob.digest.blob_path();
    let mut member = source.member(&path)?;
    check_size(blob, member.size)?;
    let mut verifier = Verifier::new(&blob.digest, blob.size);
    loop {
        let mut buffer = Vec::with_capacity(BUFFER as usize);
        member
            .reader
            .by_ref()
            .take(BUFFER)
            .read_to_end(&mut buffer)
            .map_err(|source| Problem::Unreadable { path: path.clone(), source })?;
        if buffer.is_empty() {
            verifier.end().map_err(|mismatch| problem(blob, mismatch))?;
            let _ = sender.blocking_send(Ok(None));
            return Ok(());
        }
        let bytes = Bytes::from(buffer);
        verifier.pass(&bytes).map_err(|mismatch| problem(blob, mismatch))?;
        if sender.blocking_send(Ok(Some(bytes))).is_err() {
            return Ok(());
        }
    }
}

fn check_size(blob: &Blob, found: u64) -> Result<(), Problem> {
    if found == blob.size {
        return Ok(());
    }
    Err(Problem::Size { digest: blob.digest.clone(), expected: blob.size, found })
}

fn problem(blob: &Blob, mismatch: Mismatch) -> Problem {
    let (digest, expected) = (blob.digest.clone(), blob.size);
    match mismatch {
        Mismatch::Digest(found) => Problem::Content { expected: digest, found },
        Mismatch::Longer => Problem::Size { digest, expected, found: expected + 1 },
        Mismatch::Shorter(found) => Problem::Size { digest, expected, found },
    }
}
