//! From `index.json` to every blob that can be reached.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine;
use oci_spec::image::ImageConfiguration;

use super::document::Kind;
use super::source::Source;
use super::unpack::hash;
use super::verify::read;
use super::wire::{self, Descriptor, Document, Marker, Target};
use super::{Finding, Limits, Node, Problem, Report};
use crate::digest::Digest;
use crate::spec;

/// One inspection. Every blob is hashed once, however often it is named; a document whose digest is wrong is not
/// parsed, so that no document can contain itself.
pub(super) struct Walk<'a> {
    pub(super) source: &'a Source,
    pub(super) limits: &'a Limits,
    findings: Vec<Finding>,
    /// The true length of each blob that was hashed, `None` for those that are damaged or missing.
    pub(super) blobs: HashMap<Digest, Option<u64>>,
    /// The uncompressed digest of each layer, by layer and expected `diff_id`.
    pub(super) unpacked: HashMap<(Digest, Digest), Option<Digest>>,
    pub(super) unpacked_left: u64,
    pub(super) documents_left: u64,
    descriptors_left: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a Source, limits: &'a Limits, findings: Vec<Finding>) -> Self {
        Self {
            source,
            limits,
            findings,
            blobs: HashMap::new(),
            unpacked: HashMap::new(),
            unpacked_left: limits.unpacked,
            documents_left: limits.documents,
            descriptors_left: limits.descriptors,
        }
    }

    pub(super) fn run(mut self, path: &Path) -> Report {
        self.marker();
        let mut images = Vec::new();
        if let Some(bytes) = self.file(spec::INDEX_FILE) {
            let mut root = Node::default();
            self.index(spec::INDEX_FILE, None, &bytes, 0, &mut root);
            images = root.children;
        }
        let intact = self.blobs.values().flatten();
        Report {
            path: path.to_owned(),
            kind: self.source.kind(),
            blobs: intact.clone().count(),
            bytes: intact.sum(),
            images,
            modules: Vec::new(),
            findings: self.findings,
        }
    }

    fn marker(&mut self) {
        let at = spec::LAYOUT_FILE;
        let Some(bytes) = self.file(at) else { return };
        match serde_json::from_slice::<Marker>(&bytes) {
            Ok(marker) if marker.image_layout_version == spec::LAYOUT_VERSION => {}
            Ok(marker) => {
                let version = marker.image_layout_version.chars().take(40).collect();
                self.find(at, Problem::LayoutVersion(version));
            }
            Err(source) => self.find(at, Problem::Malformed { what: "oci-layout file", source }),
        }
    }

    /// A file of the layout that is no blob.
    fn file(&mut self, path: &str) -> Option<Vec<u8>> {
        let bytes = self.source.member(path).and_then(|member| {
            let limit = self.limits.document;
            if member.size > limit {
                return Err(Problem::TooLarge { size: member.size, limit });
            }
            read(member.reader, path, limit)
        });
        bytes.map_err(|problem| self.find(path, problem)).ok()
    }

    /// The entries of an index, into `node`.
    fn index(&mut self, at: &str, media_type: Option<&str>, bytes: &[u8], depth: usize, node: &mut Node) {
        let Some(document) = self.parse(at, media_type, bytes, Kind::Index) else { return };
        node.document_annotations = document.annotations;
        for (number, entry) in document.manifests.unwrap_or_default().into_iter().enumerate() {
            let at = format!("{at} > manifests[{number}]");
            if let Some(child) = self.entry(&at, entry, depth) {
                node.children.push(child);
            }
        }
    }

    /// One entry of an index at `depth`.
    fn entry(&mut self, at: &str, value: serde_json::Value, depth: usize) -> Option<Node> {
        let (mut node, target) = self.descriptor(at, value)?;
        let Some(target) = target else { return Some(node) };
        match target.media_type.as_str() {
            media_type @ (spec::MEDIA_INDEX | spec::MEDIA_DOCKER_LIST) => {
                if depth + 1 >= self.limits.depth {
                    self.find(at, Problem::TooDeep(self.limits.depth));
                } else if let Some(bytes) = self.document(at, &target) {
                    self.index(at, Some(media_type), &bytes, depth + 1, &mut node);
                }
            }
            media_type @ (spec::MEDIA_MANIFEST | spec::MEDIA_DOCKER_MANIFEST) => {
                if depth > 0 && node.platform.is_none() {
                    self.find(at, Problem::NoPlatform);
                }
                if let Some(bytes) = self.document(at, &target) {
                    self.manifest(at, media_type, &bytes, &mut node);
                }
            }
            _ => self.blob(at, &target),
        }
        Some(node)
    }

    /// Configuration and layers of a manifest, into `node`.
    fn manifest(&mut self, at: &str, media_type: &str, bytes: &[u8], node: &mut Node) {
        let Some(document) = self.parse(at, Some(media_type), bytes, Kind::Manifest) else { return };
        node.document_annotations = document.annotations;
        node.artifact_type = document.artifact_type;
        if let Some(value) = document.subject {
            let at = format!("{at} > subject");
            node.subject = self.descriptor(&at, value).and_then(|(subject, _)| subject.digest);
        }
        let mut diff_ids = None;
        if let Some(value) = document.config {
            let at = format!("{at} > config");
            if let Some((mut child, target)) = self.descriptor(&at, value) {
                diff_ids = target.and_then(|target| self.config(&at, &target, &mut child));
                if let (Some(config), Some(index)) = (&child.config, &node.platform)
                    && config.platform != *index
                {
                    let problem = Problem::Platform { index: index.clone(), config: config.platform.clone() };
                    self.find(&at, problem);
                }
                node.children.push(child);
            }
        }
        let layers = document.layers.unwrap_or_default();
        if let Some(diff_ids) = diff_ids.as_ref().filter(|diff_ids| diff_ids.len() != layers.len()) {
            self.find(at, Problem::LayerCount { layers: layers.len(), diff_ids: diff_ids.len() });
        }
        for (number, value) in layers.into_iter().enumerate() {
            let at = format!("{at} > layers[{number}]");
            let Some((mut child, target)) = self.descriptor(&at, value) else { continue };
            if let Some(target) = target {
                self.blob(&at, &target);
                let expected = diff_ids.as_ref().and_then(|diff_ids| diff_ids.get(number));
                if let (Some(Some(_)), Some(text)) = (self.blobs.get(&target.digest), expected) {
                    child.diff_id = self.diff_id(&at, &target, text);
                }
            }
            node.children.push(child);
        }
    }

    /// Reads a configuration into `node`; its `diff_ids`, if it is an image's.
    fn config(&mut self, at: &str, target: &Target, node: &mut Node) -> Option<Vec<String>> {
        if !matches!(target.media_type.as_str(), spec::MEDIA_CONFIG | spec::MEDIA_DOCKER_CONFIG) {
            self.blob(at, target);
            return None;
        }
        let bytes = self.document(at, target)?;
        match serde_json::from_slice::<ImageConfiguration>(&bytes) {
            Ok(config) => {
                node.config = Some(wire::summary_of(&config));
                Some(config.rootfs().diff_ids().clone())
            }
            Err(source) => {
                self.find(at, Problem::Malformed { what: "image configuration", source });
                None
            }
        }
    }

    /// A descriptor as a node, and as a target if its digest is one.
    fn descriptor(&mut self, at: &str, value: serde_json::Value) -> Option<(Node, Option<Target>)> {
        if self.descriptors_left == 0 {
            return None;
        }
        self.descriptors_left -= 1;
        if self.descriptors_left == 0 {
            let limit = self.limits.descriptors as u64;
            self.find(at, Problem::TooMany { what: "descriptors", limit });
        }
        let descriptor: Descriptor = match serde_json::from_value(value) {
            Ok(descriptor) => descriptor,
            Err(source) => {
                self.find(at, Problem::Malformed { what: "descriptor", source });
                return None;
            }
        };
        let digest: Option<Digest> = match descriptor.digest.parse() {
            Ok(digest) => Some(digest),
            Err(error) => {
                self.find(at, Problem::Digest(error));
                None
            }
        };
        if let (Some(digest), Some(data)) = (&digest, &descriptor.data) {
            let decoded = base64::engine::general_purpose::STANDARD.decode(data).ok();
            let same = decoded.and_then(|data| hash(&data[..], digest.algorithm(), u64::MAX).ok());
            if same.is_none_or(|(found, _)| found != *digest) {
                self.find(at, Problem::Embedded(digest.clone()));
            }
        }
        let platform = descriptor.platform_text();
        let media_type = descriptor.media_type;
        let size = descriptor.size;
        let target = digest.clone().map(|digest| Target { digest, size, media_type: media_type.clone() });
        let annotations = descriptor.annotations;
        Some((Node { media_type, digest, size, platform, annotations, ..Node::default() }, target))
    }

    /// Parses an index or manifest and checks that it is that and nothing else.
    fn parse(&mut self, at: &str, media_type: Option<&str>, bytes: &[u8], kind: Kind) -> Option<Document> {
        let (document, problems) = Document::read(media_type, bytes, kind);
        for problem in problems {
            self.find(at, problem);
        }
        document
    }

    pub(super) fn find(&mut self, at: &str, problem: Problem) {
        self.findings.push(Finding { at: at.to_owned(), problem });
    }
}
