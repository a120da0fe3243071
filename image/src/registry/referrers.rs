//! What is attached to a document: by the registry's own list, or, where it has none, by an index under a tag that says the
//! digest, which clients keep.
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Scope;
use super::error::FailureKind;
use super::transport::Call;
use super::{ManifestRef, RegistryClient, RegistryError};
use crate::digest::Digest;
use crate::inspect::Limits;
use crate::spec;

/// Most characters of the digest's two parts in the tag. Same source.
const TAG_ALGORITHM: usize = 32;
const TAG_HEX: usize = 64;
/// How registries without the list answer: 404 is the specification's, the others are those of older ones.
const NO_SUCH_LIST: [u16; 4] = [400, 404, 405, 501];
/// Most pages of one list.
const MAX_PAGES: usize = 64;

/// Who keeps the lists of a registry's referrers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKeeper {
    /// The registry.
    Registry,
    /// Those who push.
    Clients,
}

/// An index, as far as it lists.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    manifests: Option<Vec<Value>>,
}

impl RegistryClient {
    /// Descriptors of what is said to be about `subject`.
    pub(crate) async fn referrers(
        &self,
        repository: &str,
        subject: &Digest,
        limits: &Limits,
    ) -> Result<Vec<Value>, RegistryError> {
        if self.referrers_kept.get() != Some(&ListKeeper::Clients) {
            let listed = self.listed(repository, subject, limits).await?;
            let keeper = if listed.is_some() { ListKeeper::Registry } else { ListKeeper::Clients };
            // Who comes second finds it set to the same.
            let _ = self.referrers_kept.set(keeper);
            if let Some(listed) = listed {
                return Ok(listed);
            }
        }
        Ok(self.tagged(repository, subject, limits).await?.unwrap_or_default())
    }

    /// Adds `entry` to the index under the tag that stands in for a list.
    pub(crate) async fn list_referrer(
        &self,
        repository: &str,
        subject: &Digest,
        entry: &Value,
    ) -> Result<(), RegistryError> {
        let mut manifests = self.tagged(repository, subject, &Limits::default()).await?.unwrap_or_default();
        if manifests.iter().any(|known| known["digest"] == entry["digest"]) {
            return Ok(());
        }
        manifests.push(entry.clone());
        let index = json!({ "schemaVersion": spec::SCHEMA_VERSION, "mediaType": spec::MEDIA_INDEX, "manifests": manifests });
        let bytes = Bytes::from(index.to_string());
        let tag = tag_of(subject);
        let digest = Digest::of(&bytes);
        self.put_manifest(repository, &ManifestRef::Tag(&tag), spec::MEDIA_INDEX, &bytes, &digest).await?;
        Ok(())
    }

    /// The registry's own list; `None` where it has none.
    async fn listed(
        &self,
        repository: &str,
        subject: &Digest,
        limits: &Limits,
    ) -> Result<Option<Vec<Value>>, RegistryError> {
        let scope = Scope::Pull(repository.to_owned());
        let what = format!("what is attached to {repository}@{subject}");
        let mut url = self.host.url(&format!("{repository}/referrers/{subject}"));
        let mut all = Vec::new();
        let welcome = [&[200][..], &NO_SUCH_LIST].concat();
        for page in 0..MAX_PAGES {
            let call =
                Call::new(Method::GET, url).header(ACCEPT, HeaderValue::from_static(spec::MEDIA_INDEX));
            let reply = self.call(&call, &scope, &what, &welcome, limits.document).await?;
            // Some answer any address with a page for people.
            let kind =
                reply.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let is_list =
                reply.status == 200 && kind.split(';').next().unwrap_or_default().trim() == spec::MEDIA_INDEX;
            if !is_list && page == 0 {
                return Ok(None);
            }
            all.extend(self.entries(&reply.body)?);
            if all.len() > limits.descriptors {
                break;
            }
            match self.next_page(&reply)? {
                Some(next) => url = next,
                None => return Ok(Some(all)),
            }
        }
        Err(self.nonsense(format!("{what}: the list does not end within {} entries", limits.descriptors)))
    }

    /// The index under the tag; `None` where there is none.
    async fn tagged(
        &self,
        repository: &str,
        subject: &Digest,
        limits: &Limits,
    ) -> Result<Option<Vec<Value>>, RegistryError> {
        let tag = tag_of(subject);
        match self.manifest(repository, &ManifestRef::Tag(&tag), limits.document).await {
            Ok(manifest) => self.entries(&manifest.bytes).map(Some),
            Err(error) if error.kind() == FailureKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn entries(&self, bytes: &[u8]) -> Result<Vec<Value>, RegistryError> {
        let list: List = serde_json::from_slice(bytes)
            .map_err(|error| self.nonsense(format!("its list of referrers is not valid ({error})")))?;
        Ok(list.manifests.unwrap_or_default())
    }
}

/// The tag under which clients keep a list.
fn tag_of(subject: &Digest) -> String {
    let short = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    format!("{}-{}", short(subject.algorithm().as_str(), TAG_ALGORITHM), short(subject.hex(), TAG_HEX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_the_specifications() {
        let digest = Digest::of(b"x");
        assert_eq!(tag_of(&digest), digest.to_string().replace(':', "-"));
        let long: Digest = format!("sha512:{}", "ab".repeat(64)).parse().unwrap();
        assert_eq!(tag_of(&long), format!("sha512-{}", "ab".repeat(32)));
    }
}
