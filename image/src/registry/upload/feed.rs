//! A blob's bytes on their way into a request: piece by piece, watched so that neither side stands still for ever.

use std::cell::Cell;
use std::future::pending;

use bytes::Bytes;
use futures_util::stream;
use reqwest::Response;
use reqwest::header::HeaderValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::digest::Digest;
use crate::inspect::Problem;
use crate::registry::transport::Call;
use crate::registry::{RegistryClient, RegistryError};

/// What is sent as one buffer together with the request's head.
const SMALL: u64 = 256 * 1024;

/// Something that a blob can be read from, several times.
pub(crate) trait BlobInput {
    type Stream: BlobStream;
    /// The blob from its beginning. Its stream verifies: the last bytes come only if all were right.
    async fn open(&self) -> Result<Self::Stream, InputError>;
}

/// A blob being read.
pub(crate) trait BlobStream {
    async fn next(&mut self) -> Result<Option<Bytes>, InputError>;
}

/// Why a blob could not be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// From another registry.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// From a layout or archive.
    #[error(transparent)]
    Local(#[from] Problem),
    /// The thread that reads is gone.
    #[error("reading it was given up")]
    Gone,
}

/// An open blob and how far it was read.
pub(super) struct Feed<'a, I: BlobInput> {
    digest: &'a Digest,
    stream: I::Stream,
    rest: Bytes,
    position: u64,
}

impl<'a, I: BlobInput> Feed<'a, I> {
    pub(super) async fn open(input: &I, digest: &'a Digest) -> Result<Self, RegistryError> {
        let stream = input.open().await.map_err(failed(digest))?;
        Ok(Self { digest, stream, rest: Bytes::new(), position: 0 })
    }

    /// How many bytes were taken.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Reads over `count` bytes, which the registry has.
    pub(super) async fn skip(&mut self, count: u64) -> Result<(), RegistryError> {
        let mut left = count;
        while left > 0 {
            match self.take(left).await.map_err(failed(self.digest))? {
                Some(bytes) => left -= bytes.len() as u64,
                None => break,
            }
        }
        Ok(())
    }

    /// Reads to the end, which is here.
    pub(super) async fn end(&mut self) -> Result<(), RegistryError> {
        while self.take(u64::MAX).await.map_err(failed(self.digest))?.is_some() {}
        Ok(())
    }

    /// The next bytes, `most` at most.
    async fn take(&mut self, most: u64) -> Result<Option<Bytes>, InputError> {
        if self.rest.is_empty() {
            match self.stream.next().await? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(None),
            }
        }
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.rest.len());
        let bytes = self.rest.split_to(count);
        self.position += bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// Sends the next `length` bytes as the body of `call`.
    pub(super) async fn send(
        &mut self,
        client: &RegistryClient,
        call: &Call,
        authorization: Option<&HeaderValue>,
        length: u64,
    ) -> Result<Response, RegistryError> {
        let digest = self.digest;
        let (transport, host, progress) = (&client.transport, &client.host, &client.options.progress);
        let (sender, body) = if length <= SMALL {
            (None, reqwest::Body::from(self.collect(length).await.map_err(failed(digest))?))
        } else {
            let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
            let pieces = stream::unfold(receiver, |mut receiver| async move {
                receiver.recv().await.map(|piece| (piece, receiver))
            });
            (Some(sender), reqwest::Body::wrap_stream(pieces))
        };
        let last = Cell::new((Instant::now(), sender.is_none()));
        let feeder = async {
            if let Some(sender) = sender {
                let mut left = length;
                while left > 0 {
                    let Some(bytes) = self.take(left).await? else { break };
                    left -= bytes.len() as u64;
                    // If the request has ended, its answer says why.
                    if sender.send(Ok(bytes)).await.is_err() {
                        break;
                    }
                    progress.moved(digest, self.position);
                    last.set((Instant::now(), false));
                }
                last.set((Instant::now(), true));
            }
            Ok::<_, InputError>(())
        };
        let broken_input = async {
            match feeder.await {
                Err(error) => error,
                Ok(()) => pending().await,
            }
        };
        let stalled = async {
            loop {
                let (moved, complete) = last.get();
                let limit = if complete { client.options.commit } else { client.options.stall };
                if moved.elapsed() >= limit {
                    return limit.as_secs();
                }
                sleep_until(moved + limit).await;
            }
        };
        tokio::select! {
            response = transport.stream(host, call, authorization, body, length) => response,
            error = broken_input => Err(failed(digest)(error)),
            seconds = stalled => Err(RegistryError::Stalled { host: host.name().to_owned(), seconds }),
        }
    }

    async fn collect(&mut self, length: u64) -> Result<Bytes, InputError> {
        let mut all = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        while (all.len() as u64) < length {
            match self.take(length - all.len() as u64).await? {
                Some(bytes) if all.is_empty() && bytes.len() as u64 == length => return Ok(bytes),
                Some(bytes) => all.extend_from_slice(&bytes),
                None => break,
            }
        }
        // An empty blob, or a stream that ends too early, is told by reading on.
        if (all.len() as u64) < length || length == 0 {
            self.stream.next().await?;
        }
        Ok(all.into())
    }
}

fn failed(digest: &Digest) -> impl FnOnce(InputError) -> RegistryError {
    let digest = digest.clone();
    move |source| match source {
        // Another registry's error says all that there is to say.
        InputError::Registry(error) => *error,
        source => RegistryError::Input { digest, source },
    }
}
