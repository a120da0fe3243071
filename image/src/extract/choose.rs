//! From a layout's entry point to one manifest: the image that was asked for, and of its platforms the best one.

use std::collections::BTreeMap;

use super::best::best;
use super::error::Listed;
use super::program::Program;
use super::store::{Store, descriptor};
use super::{ExtractError, ImageForm};
use crate::digest::Digest;
use crate::inspect::Problem;
use crate::inspect::document::Kind;
use crate::inspect::wire::{Document, Marker, Target, platform_text};
use crate::platform::Platform;
use crate::selector::Selector;
use crate::spec;

/// What an entry is called that describes another one and is no image: `os` and `architecture` of attestations.
/// <https://docs.docker.com/build/metadata/attestations/attestation-storage/>
const NO_PLATFORM: &str = "unknown/unknown";

/// One manifest, and the platform that its index or its configuration says.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub at: String,
    pub target: Target,
    pub platform: Option<String>,
}

/// An entry of `index.json`.
struct Image {
    at: String,
    target: Target,
    platform: Option<String>,
    annotations: BTreeMap<String, String>,
    /// Whether it is about another one.
    attached: bool,
}

/// A manifest that was read.
pub(crate) struct Manifest {
    pub program: Program,
    pub platform: Option<String>,
}

/// What configurations of all kinds say about the platform.
#[derive(serde::Deserialize)]
struct PlatformOf {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

impl Store<'_> {
    /// Chooses one manifest and reads where its module is.
    pub(crate) fn choose(
        &self,
        selector: Option<&Selector>,
        wanted: Option<&Platform>,
    ) -> Result<(Candidate, Manifest), ExtractError> {
        let (candidate, _) = self.candidate(selector, wanted)?;
        let manifest = self.manifest(&candidate)?;
        Ok((candidate, manifest))
    }

    /// Chooses one manifest; with it, the documents in the entry point that lead to it.
    pub(super) fn candidate(
        &self,
        selector: Option<&Selector>,
        wanted: Option<&Platform>,
    ) -> Result<(Candidate, Vec<Digest>), ExtractError> {
        let chosen = self.select(self.images()?, selector)?;
        let roots = chosen.iter().map(|image| image.target.digest.clone()).collect();
        let mut candidates = Vec::new();
        for image in chosen {
            self.flatten(&image.at, &image.target, image.platform, 0, &mut candidates)?;
        }
        candidates.retain(|candidate| candidate.platform.as_deref() != Some(NO_PLATFORM));
        for candidate in &mut candidates {
            if candidate.platform.is_none() {
                candidate.platform = self.platform(candidate)?;
            }
        }
        Ok((best(candidates, wanted)?, roots))
    }

    /// What the entry point has beside images: where each stands, and what it leads to.
    pub(super) fn attached(&self) -> Result<Vec<(String, Target)>, ExtractError> {
        let attached = self.images()?.into_iter().filter(|image| image.attached);
        Ok(attached.map(|image| (image.at, image.target)).collect())
    }

    /// Reads a manifest and its configuration, and says where the module is.
    pub(crate) fn manifest(&self, candidate: &Candidate) -> Result<Manifest, ExtractError> {
        let (document, config, bytes) = self.documents(candidate)?;
        let platform = candidate.platform.clone().or_else(|| platform_of(&bytes));
        Ok(Manifest { program: Program::of_manifest(&candidate.at, &config, &bytes, document)?, platform })
    }

    fn documents(&self, candidate: &Candidate) -> Result<(Document, Target, Vec<u8>), ExtractError> {
        let at = &candidate.at;
        let bytes = self.document(at, &candidate.target)?;
        let mut document = read(at, Some(&candidate.target.media_type), &bytes, Kind::Manifest)?;
        let at = format!("{at} > config");
        let (_, config) = descriptor(&at, document.config.take().unwrap_or_default())?;
        let bytes = self.document(&at, &config)?;
        Ok((document, config, bytes))
    }

    fn platform(&self, candidate: &Candidate) -> Result<Option<String>, ExtractError> {
        Ok(platform_of(&self.documents(candidate)?.2))
    }

    fn images(&self) -> Result<Vec<Image>, ExtractError> {
        let at = spec::LAYOUT_FILE;
        let malformed = |source| Problem::Malformed { what: "oci-layout file", source };
        let marker: Marker = serde_json::from_slice(&self.file(at)?)
            .map_err(|source| ExtractError::unsound(at, malformed(source)))?;
        if marker.image_layout_version != spec::LAYOUT_VERSION {
            let version = marker.image_layout_version.chars().take(40).collect();
            return Err(ExtractError::unsound(at, Problem::LayoutVersion(version)));
        }
        let at = spec::INDEX_FILE;
        let document = read(at, None, &self.file(at)?, Kind::Index)?;
        let mut images = Vec::new();
        for (number, value) in self.entries(at, document)?.into_iter().enumerate() {
            let at = format!("{at} > manifests[{number}]");
            let (descriptor, target) = descriptor(&at, value)?;
            let (platform, attached) = (descriptor.platform_text(), descriptor.is_attached());
            images.push(Image { at, target, platform, annotations: descriptor.annotations, attached });
        }
        Ok(images)
    }

    /// The entries of an index, if they are no more than are read of one.
    fn entries(&self, at: &str, document: Document) -> Result<Vec<serde_json::Value>, ExtractError> {
        let entries = document.manifests.unwrap_or_default();
        if entries.len() > self.limits.descriptors {
            let problem = Problem::TooMany { what: "descriptors", limit: self.limits.descriptors as u64 };
            return Err(ExtractError::unsound(at, problem));
        }
        Ok(entries)
    }

    fn select(
        &self,
        mut images: Vec<Image>,
        selector: Option<&Selector>,
    ) -> Result<Vec<Image>, ExtractError> {
        // What is about an image is not meant where there is one.
        if selector.is_none() && images.iter().any(|image| !image.attached) {
            images.retain(|image| !image.attached);
        }
        let found = || Listed(images.iter().map(Image::name).collect());
        if images.is_empty() {
            return Err(ExtractError::NoImage);
        }
        match selector {
            None => {
                let same = images.iter().all(|image| image.target.digest == images[0].target.digest);
                // Without names, the entries can only be the platforms of one image.
                let nameless =
                    images.iter().all(|image| image.names().next().is_none() && image.platform.is_some());
                match (same, nameless) {
                    (true, _) => Ok(images.into_iter().take(1).collect()),
                    (false, true) => Ok(images),
                    (false, false) => Err(ExtractError::WhichImage(found())),
                }
            }
            Some(Selector::Name(name)) => {
                let matching: Vec<_> = images
                    .iter()
                    .enumerate()
                    .filter(|(_, image)| image.names().any(|own| own == name))
                    .collect();
                let Some((first, image)) = matching.first() else {
                    return Err(ExtractError::NoSuchImage { wanted: name.clone(), found: found() });
                };
                if matching.iter().any(|(_, other)| other.target.digest != image.target.digest) {
                    let listed = matching.iter().map(|(_, image)| image.target.digest.to_string()).collect();
                    return Err(ExtractError::WhichImage(Listed(listed)));
                }
                let first = *first;
                Ok(images.into_iter().skip(first).take(1).collect())
            }
            Some(Selector::Digest(digest)) => {
                let mut all = Vec::new();
                for image in &images {
                    if image.target.digest != *digest {
                        self.flatten(&image.at, &image.target, image.platform.clone(), 0, &mut all)?;
                    }
                }
                let listed = found();
                let own = images.into_iter().find(|image| image.target.digest == *digest);
                let nested = all.into_iter().find(|candidate| candidate.target.digest == *digest).map(
                    |Candidate { at, target, platform }| Image {
                        at,
                        target,
                        platform,
                        annotations: BTreeMap::new(),
                        attached: false,
                    },
                );
                match own.or(nested) {
                    Some(image) => Ok(vec![image]),
                    None => Err(ExtractError::NoSuchImage { wanted: digest.to_string(), found: listed }),
                }
            }
        }
    }

    /// The manifests that a descriptor leads to.
    fn flatten(
        &self,
        at: &str,
        target: &Target,
        platform: Option<String>,
        depth: usize,
        into: &mut Vec<Candidate>,
    ) -> Result<(), ExtractError> {
        match target.media_type.as_str() {
            spec::MEDIA_MANIFEST | spec::MEDIA_DOCKER_MANIFEST => {
                into.push(Candidate { at: at.to_owned(), target: target.clone(), platform });
                if into.len() > self.limits.descriptors {
                    let limit = self.limits.descriptors as u64;
                    return Err(ExtractError::unsound(at, Problem::TooMany { what: "descriptors", limit }));
                }
                Ok(())
            }
            spec::MEDIA_INDEX | spec::MEDIA_DOCKER_LIST => {
                if depth + 1 >= self.limits.depth {
                    return Err(ExtractError::unsound(at, Problem::TooDeep(self.limits.depth)));
                }
                let document = read(at, Some(&target.media_type), &self.document(at, target)?, Kind::Index)?;
                for (number, value) in self.entries(at, document)?.into_iter().enumerate() {
                    let at = format!("{at} > manifests[{number}]");
                    let (descriptor, target) = descriptor(&at, value)?;
                    self.flatten(&at, &target, descriptor.platform_text(), depth + 1, into)?;
                }
                Ok(())
            }
            // What an index lists besides images is no concern of who looks for one.
            _ => Ok(()),
        }
    }
}

impl Image {
    fn names(&self) -> impl Iterator<Item = &String> {
        [spec::ANNOTATION_REF_NAME, spec::ANNOTATION_CONTAINERD_NAME]
            .into_iter()
            .filter_map(|key| self.annotations.get(key))
    }

    fn name(&self) -> String {
        self.names().next().cloned().unwrap_or_else(|| self.target.digest.to_string())
    }
}

impl Manifest {
    /// The form.
    pub(crate) fn form(&self) -> ImageForm {
        self.program.form
    }
}

/// Reads an index or a manifest in which nothing is wrong.
pub(super) fn read(
    at: &str,
    media_type: Option<&str>,
    bytes: &[u8],
    kind: Kind,
) -> Result<Document, ExtractError> {
    let (document, problems) = Document::read(media_type, bytes, kind);
    match (document, problems.into_iter().next()) {
        (Some(document), None) => Ok(document),
        (_, Some(problem)) => Err(ExtractError::unsound(at, problem)),
        (None, None) => Err(ExtractError::unsound(at, Problem::Ambiguous)),
    }
}

fn platform_of(config: &[u8]) -> Option<String> {
    let said: PlatformOf = serde_json::from_slice(config).ok()?;
    Some(platform_text(&said.os?, &said.architecture?, said.variant.as_deref()))
}
