//! Takes out of an image what is attached to it about the parts of its program.

use std::io::Read;

use super::choose::read;
use super::error::Listed;
use super::store::{Store, descriptor};
use super::{ExtractError, LocalImage};
use crate::digest::Digest;
use crate::inspect::document::Kind;
use crate::inspect::source::Source;
use crate::inspect::wire::Target;
use crate::inspect::{Limits, Problem};
use crate::platform::Platform;
use crate::spec;

/// Most bytes of such a list that are read.
const MAX_SBOM: u64 = 16 << 20;

/// What the program of `image` is made of: the CycloneDX document, byte for byte, that is attached to the manifest of the
/// platform that is asked for (chosen as [`extract`](super::extract()) does), else the one of the whole image.
pub fn sbom(image: &LocalImage, platform: Option<&Platform>) -> Result<Vec<u8>, ExtractError> {
    let limits = Limits::default();
    let (source, findings) = Source::open(&image.path, &limits)?;
    if let Some(finding) = findings.into_iter().next() {
        return Err(ExtractError::unsound(&finding.at, finding.problem));
    }
    let store = Store::new(&source, &limits);
    let (candidate, roots) = store.candidate(image.selector.as_ref(), platform)?;
    let mut about = Vec::new();
    for (at, target) in store.attached()? {
        about.extend(list(&store, &at, &target)?.map(|(subject, layer)| (subject, layer, at, target.digest)));
    }
    // What is said of one platform is more exact than what is said of all.
    for subject in [&candidate.target.digest].into_iter().chain(&roots) {
        let mut of_it = about.iter().filter(|(found, ..)| found == subject);
        match (of_it.next(), of_it.next()) {
            (Some((_, layer, at, _)), None) => return content(&store, at, layer),
            (Some(_), Some(_)) => {
                let of_it = about.iter().filter(|(found, ..)| found == subject);
                return Err(ExtractError::SeveralSboms(Listed(
                    of_it.map(|(.., own)| own.to_string()).collect(),
                )));
            }
            (None, _) => {}
        }
    }
    Err(ExtractError::NoSbom(candidate.target.digest))
}

/// What an artifact is about, and its layer, if it is a list of parts.
fn list(store: &Store<'_>, at: &str, target: &Target) -> Result<Option<(Digest, Target)>, ExtractError> {
    let document = read(at, Some(&target.media_type), &store.document(at, target)?, Kind::Manifest)?;
    if document.artifact_type.as_deref() != Some(spec::MEDIA_CYCLONEDX) {
        return Ok(None);
    }
    let Some(subject) = document.subject else { return Ok(None) };
    let (_, subject) = descriptor(&format!("{at} > subject"), subject)?;
    let Some(layer) = document.layers.unwrap_or_default().into_iter().next() else { return Ok(None) };
    let (_, layer) = descriptor(&format!("{at} > layers[0]"), layer)?;
    Ok((layer.media_type == spec::MEDIA_CYCLONEDX).then_some((subject.digest, layer)))
}

fn content(store: &Store<'_>, at: &str, layer: &Target) -> Result<Vec<u8>, ExtractError> {
    if layer.size > MAX_SBOM {
        return Err(ExtractError::unsound(at, Problem::TooLarge { size: layer.size, limit: MAX_SBOM }));
    }
    let mut blob = store.blob(at, layer)?;
    let mut bytes = Vec::new();
    // No more than the descriptor says, which is within the limit.
    blob.read_to_end(&mut bytes).map_err(|source| {
        ExtractError::unsound(at, Problem::Unreadable { path: layer.digest.blob_path(), source })
    })?;
    blob.finish()?;
    Ok(bytes)
}
