//! Fetching a blob as a stream that goes on where it broke off. Verifying is the reader's: it may do it on another
//! thread; here no more bytes pass than the descriptor says.

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response};

use super::auth::Scope;
use super::blobs::Mismatch;
use super::retry::Attempts;
use super::transport::Call;
use super::{RegistryClient, RegistryError};
use crate::digest::Digest;

/// How often a download may break off in all, however much came each time.
const MAX_RESUMPTIONS: u32 = 100;

/// A blob on its way.
pub(crate) struct Download<'a> {
    client: &'a RegistryClient,
    repository: String,
    digest: Digest,
    size: u64,
    position: u64,
    /// Bytes to be thrown away: the server began from the start again.
    skip: u64,
    response: Option<Response>,
    attempts: Attempts<'a>,
    opened: u32,
}

impl<'a> Download<'a> {
    pub(crate) fn new(client: &'a RegistryClient, repository: &str, digest: &Digest, size: u64) -> Self {
        Self {
            client,
            repository: repository.to_owned(),
            digest: digest.clone(),
            size,
            position: 0,
            skip: 0,
            response: None,
            attempts: client.attempts(),
            opened: 0,
        }
    }

    /// How often it had to go on after it broke off.
    pub(crate) fn resumed(&self) -> u32 {
        self.opened.saturating_sub(1)
    }

    /// The next bytes; `None` after exactly as many as the descriptor says.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            match self.step().await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => {
                    self.response = None;
                    if self.opened > MAX_RESUMPTIONS {
                        return Err(error);
                    }
                    self.attempts.after(error).await?;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let mut response = match self.response.take() {
            Some(response) => response,
            None => self.open().await?,
        };
        while let Some(mut bytes) = self.client.transport.piece(&mut response).await? {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len() as u64);
                self.skip -= skipped;
                bytes = bytes.slice(usize::try_from(skipped).unwrap_or(usize::MAX)..);
            }
            if bytes.is_empty() {
                continue;
            }
            self.position += bytes.len() as u64;
            if self.position > self.size {
                return Err(self.wrong_length(Mismatch::Longer));
            }
            self.attempts.advanced();
            self.response = Some(response);
            return Ok(Some(bytes));
        }
        if self.position < self.size {
            // The answer was complete by HTTP's count, so the blob itself is too short.
            return Err(self.wrong_length(Mismatch::Shorter(self.position)));
        }
        // Whoever asks again gets the same answer.
        self.response = Some(response);
        Ok(None)
    }

    async fn open(&mut self) -> Result<Response, RegistryError> {
        let client = self.client;
        let url = client.host.url(&format!("{}/blobs/{}", self.repository, self.digest));
        let mut call =
            Call::new(Method::GET, url).header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if self.position > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.position));
            call = call.header(RANGE, range.expect("digits are printable ASCII"));
        }
        let scope = Scope::Pull(self.repository.clone());
        let what = format!("blob {} of {}", self.digest, self.repository);
        let response = client.fetch(&call, &scope, &what, &[200, 206]).await?;
        self.opened += 1;
        self.skip = 0;
        let start = match response.status().as_u16() {
            206 => self.start_of(&response)?,
            _ => {
                self.skip = self.position;
                0
            }
        };
        if let Some(length) = response.content_length()
            && start.checked_add(length) != Some(self.size)
        {
            let found = start.saturating_add(length);
            let found = if found > self.size { Mismatch::Longer } else { Mismatch::Shorter(found) };
            return Err(self.wrong_length(found));
        }
        Ok(response)
    }

    /// From where a partial answer begins: it must be where it was asked to.
    fn start_of(&self, response: &Response) -> Result<u64, RegistryError> {
        let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let start = range
            .and_then(|range| range.strip_prefix("bytes "))
            .and_then(|range| range.split_once('-'))
            .and_then(|(start, _)| start.parse().ok());
        match start {
            Some(start) if start == self.position => Ok(start),
            _ => Err(self.client.nonsense("it sends another part of a blob than it was asked for")),
        }
    }

    /// The error that a length or digest is.
    pub(crate) fn wrong_length(&self, mismatch: Mismatch) -> RegistryError {
        let found = match mismatch {
            Mismatch::Longer => format!("more than {}", self.size),
            Mismatch::Shorter(count) => count.to_string(),
            Mismatch::Digest(found) => {
                return RegistryError::WrongDigest {
                    host: self.client.name().to_owned(),
                    what: "a blob",
                    expected: self.digest.clone(),
                    found,
                };
            }
        };
        RegistryError::WrongLength {
            host: self.client.name().to_owned(),
            digest: self.digest.clone(),
            expected: self.size,
            found,
        }
    }
}
