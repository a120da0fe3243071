//! A blob in pieces. After a broken piece the registry is asked how much it has, and the upload goes on from there.
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, StatusCode};

use super::feed::Feed;
use super::{Begun, BlobInput, Location, OCTETS, Upload, UploadOutcome};
use crate::registry::RegistryError;
use crate::registry::transport::{Call, MAX_ERROR_BODY};

/// How often an upload may go on in the middle, however far it came each time.
const MAX_RESUMPTIONS: u32 = 100;

impl<'a, I: BlobInput> Upload<'a, I> {
    /// Sends the blob in pieces of `size` bytes, or of as many as the registry wants at least.
    pub(super) async fn in_chunks(
        &self,
        begun: Option<Location>,
        size: u64,
    ) -> Result<UploadOutcome, RegistryError> {
        let mut attempts = self.client.attempts();
        let mut resumed = 0;
        let mut location = match begun {
            Some(location) => location,
            None => self.begin_again().await?,
        };
        let size = size.max(location.min_chunk).max(1);
        let mut feed = Feed::open(self.input, self.digest).await?;
        while feed.position() < self.size {
            let start = feed.position();
            match self.chunk(&location, &mut feed, size.min(self.size - start)).await {
                Ok(next) => {
                    attempts.advanced();
                    location = next;
                }
                Err(error) => {
                    resumed += 1;
                    if resumed > MAX_RESUMPTIONS {
                        return Err(error);
                    }
                    self.after(&mut attempts, error).await?;
                    let position = match self.position(&location).await? {
                        Some((position, next)) => {
                            location = next;
                            position
                        }
                        None => {
                            location = self.begin_again().await?;
                            0
                        }
                    };
                    if position > start {
                        attempts.advanced();
                    }
                    feed = Feed::open(self.input, self.digest).await?;
                    feed.skip(position).await?;
                }
            }
        }
        // An empty blob has no piece that would show that it can be read.
        feed.end().await?;
        let call = Call::new(Method::PUT, self.closing(&location.url)).header(CONTENT_TYPE, OCTETS);
        self.client.call(&call, &self.scope, &self.what(), &[200, 201, 204], MAX_ERROR_BODY).await?;
        Ok(UploadOutcome::Sent { resumed })
    }

    /// A piece out of order is no reason to give up: the registry is asked where it stands.
    async fn after(
        &self,
        attempts: &mut crate::registry::retry::Attempts<'_>,
        error: RegistryError,
    ) -> Result<(), RegistryError> {
        match error {
            RegistryError::Status { status: 416, host, what, detail, retry_after } => {
                // 503 is what a passing state is called.
                let passing = RegistryError::Status { status: 503, host, what, detail, retry_after };
                attempts.after(passing).await
            }
            error => attempts.after(error).await,
        }
    }

    async fn begin_again(&self) -> Result<Location, RegistryError> {
        match self.begin(None).await? {
            Begun::At(location) => Ok(location),
            Begun::Mounted => Err(self.client.nonsense("it mounts what nobody asked it to")),
        }
    }

    async fn chunk(
        &self,
        location: &Location,
        feed: &mut Feed<'a, I>,
        length: u64,
    ) -> Result<Location, RegistryError> {
        let start = feed.position();
        let end = start + length - 1;
        let range = HeaderValue::from_str(&format!("{start}-{end}")).expect("digits are printable ASCII");
        let call = Call::new(Method::PATCH, location.url.clone())
            .header(CONTENT_TYPE, OCTETS)
            .header(CONTENT_RANGE, range);
        let response = self.stream(&call, feed, length).await?;
        let response = self.client.judge(response, &self.what(), &[202, 201, 204]).await?;
        let reply = self.client.transport.reply(response, "chunk", MAX_ERROR_BODY).await?;
        if let Some(has) = received(&reply.headers)
            && has != end + 1
        {
            let reason = format!("it has {has} bytes of a blob after it took {}", end + 1);
            return Err(self.client.nonsense(reason));
        }
        self.location(&reply.url, &reply.headers)
    }

    /// How much the registry has, and where the rest goes; `None` if it has forgotten the upload.
    async fn position(&self, location: &Location) -> Result<Option<(u64, Location)>, RegistryError> {
        let call = Call::new(Method::GET, location.url.clone());
        let welcome = [200, 202, 204, 404];
        let reply = self.client.call(&call, &self.scope, &self.what(), &welcome, MAX_ERROR_BODY).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        // Without a new address, the old one stands.
        let next = self
            .location(&reply.url, &reply.headers)
            .unwrap_or(Location { url: location.url.clone(), min_chunk: location.min_chunk });
        let position = received(&reply.headers).unwrap_or(0);
        if position > self.size {
            return Err(self.client.nonsense("it has more of a blob than there is"));
        }
        Ok(Some((position, next)))
    }
}

/// How many bytes `Range: 0-<last>` stands for. `0-0` is what registries say for none.
fn received(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?;
    let last: u64 = range.trim_start_matches("bytes=").split_once('-')?.1.parse().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}
