//! Manifests and indexes: small documents, fetched and put whole, each held against its digest.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::auth::Scope;
use super::transport::{Body, Call, MAX_ERROR_BODY};
use super::{RegistryClient, RegistryError};
use crate::digest::{Digest, Hasher};
use crate::spec;

/// The digest that a registry computed.
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// What is asked for; a registry without this header may convert an image into something older.
const ACCEPTED: [&str; 4] =
    [spec::MEDIA_INDEX, spec::MEDIA_MANIFEST, spec::MEDIA_DOCKER_LIST, spec::MEDIA_DOCKER_MANIFEST];

/// By which a registry says that it lists a manifest among the referrers of its subject.
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject>
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Whether the registry took notice of a manifest's subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// It lists the manifest itself.
    Listed,
    /// It does not, or there is no subject.
    NotListed,
}

/// How a manifest is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ManifestRef<'a> {
    Tag(&'a str),
    Digest(&'a Digest),
}

/// A document that was verified.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub bytes: Bytes,
    pub digest: Digest,
    /// What the registry calls it, if it says so.
    pub media_type: Option<String>,
}

impl std::fmt::Display for ManifestRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => write!(f, "{digest}"),
        }
    }
}

impl RegistryClient {
    /// Fetches a document of up to `limit` bytes.
    pub(crate) async fn manifest(
        &self,
        repository: &str,
        reference: &ManifestRef<'_>,
        limit: u64,
    ) -> Result<Manifest, RegistryError> {
        let url = self.host.url(&format!("{repository}/manifests/{reference}"));
        let mut call = Call::new(Method::GET, url);
        for media_type in ACCEPTED {
            call = call.header(ACCEPT, HeaderValue::from_static(media_type));
        }
        let what = match reference {
            ManifestRef::Tag(tag) => format!("{repository}:{tag}"),
            ManifestRef::Digest(digest) => format!("{repository}@{digest}"),
        };
        let scope = Scope::Pull(repository.to_owned());
        let reply = self.call(&call, &scope, &what, &[200], limit).await?;
        let stated = self.stated(&reply.headers)?;
        let expected = match reference {
            ManifestRef::Digest(digest) => Some((*digest).clone()),
            ManifestRef::Tag(_) => stated.clone(),
        };
        let digest = match &expected {
            Some(expected) => self.verified("the manifest", &reply.body, expected)?,
            None => Digest::of(&reply.body),
        };
        if let Some(stated) = &stated {
            self.verified("the manifest", &reply.body, stated)?;
        }
        let media_type = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        // Parameters such as a charset are no part of the type.
        let media_type = media_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_owned());
        Ok(Manifest { bytes: reply.body, digest, media_type })
    }

    /// Puts a document under a tag or its digest.
    pub(crate) async fn put_manifest(
        &self,
        repository: &str,
        reference: &ManifestRef<'_>,
        media_type: &str,
        bytes: &Bytes,
        digest: &Digest,
    ) -> Result<Subject, RegistryError> {
        let url = self.host.url(&format!("{repository}/manifests/{reference}"));
        let content_type = HeaderValue::from_str(media_type)
            .map_err(|_| self.nonsense("the media type of a manifest cannot be sent"))?;
        let mut call = Call::new(Method::PUT, url).header(CONTENT_TYPE, content_type);
        call.body = Body::Bytes(bytes.clone());
        let scope = Scope::Push(repository.to_owned(), None);
        let what = format!("pushing {repository}:{reference}");
        let reply = self.call(&call, &scope, &what, &[200, 201, 202], MAX_ERROR_BODY).await?;
        match self.stated(&reply.headers)? {
            Some(stated) if stated.algorithm() == digest.algorithm() && stated != *digest => {
                Err(RegistryError::WrongDigest {
                    host: self.name().to_owned(),
                    what: "the manifest as stored",
                    expected: digest.clone(),
                    found: stated,
                })
            }
            _ if reply.headers.contains_key(OCI_SUBJECT) => Ok(Subject::Listed),
            _ => Ok(Subject::NotListed),
        }
    }

    fn stated(&self, headers: &HeaderMap) -> Result<Option<Digest>, RegistryError> {
        let Some(value) = headers.get(CONTENT_DIGEST) else { return Ok(None) };
        let digest = value.to_str().ok().and_then(|text| text.parse().ok());
        digest.map(Some).ok_or_else(|| self.nonsense("its Docker-Content-Digest is no digest"))
    }

    fn verified(&self, what: &'static str, bytes: &[u8], expected: &Digest) -> Result<Digest, RegistryError> {
        let mut hasher = Hasher::new(expected.algorithm());
        hasher.update(bytes);
        let found = hasher.finish();
        if found == *expected {
            return Ok(found);
        }
        let host = self.name().to_owned();
        Err(RegistryError::WrongDigest { host, what, expected: expected.clone(), found })
    }
}
