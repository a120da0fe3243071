//! Attaching to an image what is said about it by others than its own documents: an artifact whose `subject` it is.
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage>

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use oci_spec::image::{Descriptor, ImageManifestBuilder, MediaType};
use serde_json::json;

use super::documents::{Documents, descriptor};
use super::program::open;
use super::recipe::Sbom;
use super::{BuildError, BuiltManifest, BuiltReferrer, Root};
use crate::layout::StoredBlob;
use crate::platform::Platform;
use crate::spec;

/// Most bytes of such a list: a program of a thousand crates has half a megabyte.
const MAX_SBOM: u64 = 16 << 20;

/// As much as has to be known to be sure of the format.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    bom_format: String,
    #[serde(rename = "specVersion")]
    _version: String,
}

impl Documents<'_> {
    /// Stores the recipe's lists as artifacts; the entries of `index.json` that name them, and what came of each.
    pub(super) fn attach(
        &self,
        root: &Root,
        manifests: &[(BuiltManifest, StoredBlob)],
    ) -> Result<Vec<(Descriptor, BuiltReferrer)>, BuildError> {
        let list = self.recipe.sboms.iter();
        list.map(|sbom| {
            let (media_type, subject) = match &sbom.platform {
                None => (root.media_type, &root.blob),
                Some(platform) => (spec::MEDIA_MANIFEST, manifest_for(platform, manifests, &sbom.path)?),
            };
            self.artifact_about(sbom, media_type, subject)
        })
        .collect()
    }

    fn artifact_about(
        &self,
        sbom: &Sbom,
        media_type: &str,
        subject: &StoredBlob,
    ) -> Result<(Descriptor, BuiltReferrer), BuildError> {
        let bytes = read(&sbom.path)?;
        let (content, ()) = self.store.put(|output| output.write_all(&bytes)).map_err(BuildError::Write)?;
        let empty = self.store.put_json(&json!({})).map_err(BuildError::Write)?;
        let mut layer = descriptor(spec::MEDIA_CYCLONEDX, &content)?;
        // The name under which oras stores the file.
        let platform =
            sbom.platform.as_ref().map(|platform| format!(".{}", platform.to_string().replace('/', "-")));
        let title = format!("{}{}.cdx.json", self.title(), platform.unwrap_or_default());
        layer.set_annotations(Some(HashMap::from([(spec::ANNOTATION_TITLE.to_owned(), title)])));
        let manifest = ImageManifestBuilder::default()
            .schema_version(spec::SCHEMA_VERSION)
            .media_type(spec::MEDIA_MANIFEST)
            .artifact_type(MediaType::from(spec::MEDIA_CYCLONEDX))
            .config(descriptor(spec::MEDIA_EMPTY, &empty)?)
            .layers(vec![layer])
            .subject(descriptor(media_type, subject)?)
            .build()?;
        let stored = self.store.put_json(&manifest).map_err(BuildError::Write)?;
        let mut entry = descriptor(spec::MEDIA_MANIFEST, &stored)?;
        entry.set_artifact_type(Some(MediaType::from(spec::MEDIA_CYCLONEDX)));
        let built = BuiltReferrer {
            artifact_type: spec::MEDIA_CYCLONEDX,
            digest: stored.digest,
            subject: subject.digest.clone(),
            platform: sbom.platform.clone(),
        };
        Ok((entry, built))
    }
}

fn manifest_for<'a>(
    platform: &Platform,
    manifests: &'a [(BuiltManifest, StoredBlob)],
    path: &Path,
) -> Result<&'a StoredBlob, BuildError> {
    let found = manifests.iter().find(|(built, _)| built.platform == *platform);
    let missing = || BuildError::SbomPlatform { path: path.to_owned(), platform: platform.clone() };
    found.map(|(_, blob)| blob).ok_or_else(missing)
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    let at = |source| BuildError::Open { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    open(path)?.take(MAX_SBOM + 1).read_to_end(&mut bytes).map_err(at)?;
    if bytes.len() as u64 > MAX_SBOM {
        return Err(BuildError::SbomSize { path: path.to_owned(), limit: MAX_SBOM });
    }
    let refuse = |source| BuildError::Sbom { path: path.to_owned(), source };
    let head: Head = serde_json::from_slice(&bytes).map_err(refuse)?;
    if head.bom_format != spec::CYCLONEDX_FORMAT {
        return Err(refuse(serde::de::Error::custom("its bomFormat is another")));
    }
    Ok(bytes)
}
