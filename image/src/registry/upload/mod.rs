//! Sending a blob: looks whether it is there, mounts it from a neighbour, or sends it in one piece; in several where
//! that is asked for, or where one piece does not get through.
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs>

mod chunks;
mod feed;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

pub use feed::InputError;
pub(crate) use feed::{BlobInput, BlobStream};

use super::auth::Scope;
use super::transport::{Call, MAX_ERROR_BODY};
use super::{RegistryClient, RegistryError};
use crate::digest::Digest;
use feed::Feed;

/// The size of pieces where the registry wants pieces and nobody said how long.
const CHUNK: u64 = 16 << 20;
/// The least size of a piece that a registry wants.
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>
const MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// How often a blob in one piece may break off before it is sent in pieces, which need not begin again.
const WHOLE_FAILURES: u32 = 2;
/// What blobs are sent as.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// How a blob got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadOutcome {
    /// By its bytes; how often it had to go on in the middle.
    Sent { resumed: u32 },
    /// From another repository of the registry.
    Mounted,
}

/// One blob for one repository.
pub(super) struct Upload<'a, I> {
    client: &'a RegistryClient,
    repository: &'a str,
    scope: Scope,
    digest: &'a Digest,
    size: u64,
    input: &'a I,
}

/// What became of one attempt.
enum Attempt {
    Done,
    /// The registry does not want it in one piece.
    TooMuch,
}

/// Where an upload goes on.
struct Location {
    url: Url,
    min_chunk: u64,
}

/// What a registry says to the wish for an upload.
enum Begun {
    Mounted,
    At(Location),
}

impl RegistryClient {
    /// Whether the repository has the blob, in full length.
    pub(crate) async fn has_blob(
        &self,
        repository: &str,
        digest: &Digest,
        size: u64,
    ) -> Result<bool, RegistryError> {
        let url = self.host.url(&format!("{repository}/blobs/{digest}"));
        let call = Call::new(Method::HEAD, url);
        // To be pushed to: one token for all requests.
        let scope = Scope::Push(repository.to_owned(), None);
        let what = format!("blob {digest} of {repository}");
        let reply = self.call(&call, &scope, &what, &[200, 404], MAX_ERROR_BODY).await?;
        let length = reply.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let same = length.and_then(|length| length.parse::<u64>().ok()).is_none_or(|length| length == size);
        Ok(reply.status == StatusCode::OK && same)
    }

    /// Sends a blob that the repository does not have.
    pub(crate) async fn upload(
        &self,
        repository: &str,
        digest: &Digest,
        size: u64,
        input: &impl BlobInput,
        mount_from: Option<&str>,
    ) -> Result<UploadOutcome, RegistryError> {
        let scope = Scope::Push(repository.to_owned(), mount_from.map(str::to_owned));
        let upload = Upload { client: self, repository, scope, digest, size, input };
        upload.run(mount_from).await
    }
}

impl<'a, I: BlobInput> Upload<'a, I> {
    async fn run(&self, mount_from: Option<&str>) -> Result<UploadOutcome, RegistryError> {
        let mut begun = match self.begin(mount_from).await? {
            Begun::Mounted => return Ok(UploadOutcome::Mounted),
            Begun::At(location) => Some(location),
        };
        if let Some(size) = self.client.options.chunk_size {
            return self.in_chunks(begun, size).await;
        }
        let mut attempts = self.client.attempts();
        let mut failures = 0;
        loop {
            let location = match begun.take() {
                Some(location) => location,
                None => match self.begin(None).await? {
                    Begun::Mounted => return Ok(UploadOutcome::Mounted),
                    Begun::At(location) => location,
                },
            };
            match self.whole(location).await {
                Ok(Attempt::Done) => return Ok(UploadOutcome::Sent { resumed: 0 }),
                Ok(Attempt::TooMuch) => return self.in_chunks(None, CHUNK).await,
                Err(error) => {
                    let broke = matches!(error, RegistryError::Broken { .. } | RegistryError::Stalled { .. });
                    failures += u32::from(broke);
                    attempts.after(error).await?;
                    if failures >= WHOLE_FAILURES && self.size > CHUNK {
                        return self.in_chunks(None, CHUNK).await;
                    }
                }
            }
        }
    }

    /// Asks for an upload, or for the blob of a neighbour.
    async fn begin(&self, mount_from: Option<&str>) -> Result<Begun, RegistryError> {
        let mut url = self.client.host.url(&format!("{}/blobs/uploads/", self.repository));
        if let Some(from) = mount_from {
            url.query_pairs_mut().append_pair("mount", &self.digest.to_string()).append_pair("from", from);
        }
        let call = Call::new(Method::POST, url);
        let welcome: &[u16] = if mount_from.is_some() { &[201, 202] } else { &[202] };
        let reply = self.client.call(&call, &self.scope, &self.what(), welcome, MAX_ERROR_BODY).await?;
        if reply.status == StatusCode::CREATED {
            return Ok(Begun::Mounted);
        }
        Ok(Begun::At(self.location(&reply.url, &reply.headers)?))
    }

    /// Where the registry wants the bytes: may be another host, which gets no credentials.
    fn location(&self, from: &Url, headers: &HeaderMap) -> Result<Location, RegistryError> {
        let url = self.client.transport.target(&self.client.host, from, headers)?;
        let min = headers.get(MIN_LENGTH).and_then(|value| value.to_str().ok());
        Ok(Location { url, min_chunk: min.and_then(|min| min.parse().ok()).unwrap_or(0) })
    }

    /// One attempt in one piece.
    async fn whole(&self, location: Location) -> Result<Attempt, RegistryError> {
        let url = self.closing(&location.url);
        let call = Call::new(Method::PUT, url).header(CONTENT_TYPE, OCTETS);
        let mut feed = Feed::open(self.input, self.digest).await?;
        let response = self.stream(&call, &mut feed, self.size).await?;
        match response.status().as_u16() {
            // It is too long for the registry, or for a proxy before it.
            405 | 411 | 413 => Ok(Attempt::TooMuch),
            _ => {
                self.client.judge(response, &self.what(), &[200, 201, 204]).await?;
                Ok(Attempt::Done)
            }
        }
    }

    /// The address that ends an upload.
    fn closing(&self, location: &Url) -> Url {
        let mut url = location.clone();
        url.query_pairs_mut().append_pair("digest", &self.digest.to_string());
        url
    }

    /// Sends the next `length` bytes of `feed`. A token that has run out is renewed for the next attempt.
    async fn stream(
        &self,
        call: &Call,
        feed: &mut Feed<'a, I>,
        length: u64,
    ) -> Result<Response, RegistryError> {
        let client = self.client;
        let start = feed.position();
        let authorization = client.authorization(&self.scope).await?;
        let sent = feed.send(client, call, authorization.as_ref(), length).await?;
        if client.renewed(&sent, &self.scope, authorization.as_ref()).await? {
            let mut again = Feed::open(self.input, self.digest).await?;
            again.skip(start).await?;
            *feed = again;
            let authorization = client.authorization(&self.scope).await?;
            return feed.send(client, call, authorization.as_ref(), length).await;
        }
        Ok(sent)
    }

    fn what(&self) -> String {
        format!("pushing {} to {}", self.digest, self.repository)
    }
}
