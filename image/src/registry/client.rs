//! One registry, as the rest of the crate sees it: every request goes through [`RegistryClient::fetch`] or
//! [`RegistryClient::call`], which authenticate and send again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use tokio::sync::OnceCell;

use super::auth::{Auth, Scope};
use super::challenge::Challenge;
use super::host::Host;
use super::referrers::ListKeeper;
use super::retry::Attempts;
use super::transport::{Call, MAX_ERROR_BODY, Reply, Transport, status_error_at};
use super::{Clock, CredentialSource, PlainHttp, RegistryError, RetryPolicy, SystemClock};
use crate::progress::{Progress, Quiet};

/// How registries are spoken to.
#[derive(Clone)]
pub struct ClientOptions {
    /// Who asks.
    pub credentials: CredentialSource,
    /// Whether without TLS.
    pub plain_http: PlainHttp,
    /// Files of PEM certificates, beside the system's authorities.
    pub ca_files: Vec<PathBuf>,
    /// How often and how long to try.
    pub retry: RetryPolicy,
    /// How long nothing may come before a connection counts as broken.
    pub stall: Duration,
    /// How long a registry may take after a blob's last byte: some compute its digest then.
    pub commit: Duration,
    /// Blobs go in pieces of so many bytes; in one if `None`.
    pub chunk_size: Option<u64>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who is told.
    pub progress: Arc<dyn Progress>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            credentials: CredentialSource::default(),
            plain_http: PlainHttp::Never,
            ca_files: Vec::new(),
            retry: RetryPolicy::default(),
            stall: Duration::from_secs(60),
            commit: Duration::from_secs(300),
            chunk_size: None,
            clock: Arc::new(SystemClock),
            progress: Arc::new(Quiet),
        }
    }
}

/// A client of one registry. Connections and tokens are shared by all requests.
pub struct RegistryClient {
    pub(super) host: Host,
    pub(super) transport: Transport,
    pub(super) options: ClientOptions,
    auth: Auth,
    /// Set when the registry has shown once whether it wants credentials.
    greeted: OnceCell<()>,
    /// Who lists referrers, as soon as that is known.
    pub(super) referrers_kept: OnceCell<ListKeeper>,
}

impl std::fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryClient").field("host", &self.host).finish_non_exhaustive()
    }
}

impl RegistryClient {
    /// A client of the registry called `name`: host and optional port. Connects to nothing yet.
    pub fn new(name: &str, options: ClientOptions) -> Result<Self, RegistryError> {
        let host = Host::new(name, options.plain_http)?;
        let transport = Transport::new(&host, options.ca_files.clone(), options.stall)?;
        let auth = Auth::new(options.credentials.clone());
        Ok(Self { host, transport, options, auth, greeted: OnceCell::new(), referrers_kept: OnceCell::new() })
    }

    /// The registry's name.
    pub fn name(&self) -> &str {
        self.host.name()
    }

    /// Who is told.
    pub(crate) fn progress(&self) -> &dyn Progress {
        &*self.options.progress
    }

    pub(super) fn attempts(&self) -> Attempts<'_> {
        Attempts::new(self.options.retry, &*self.options.clock, &*self.options.progress)
    }

    /// Sends `call` until it is answered with one of `welcome`, with a body of up to `limit` bytes.
    pub(super) async fn call(
        &self,
        call: &Call,
        scope: &Scope,
        what: &str,
        welcome: &[u16],
        limit: u64,
    ) -> Result<Reply, RegistryError> {
        let mut attempts = self.attempts();
        loop {
            let outcome = match self.fetch(call, scope, what, welcome).await {
                Ok(response) => self.transport.reply(response, what, limit).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(reply) => return Ok(reply),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// Sends `call` once (twice where a token has to be had first); its body is still to be read.
    pub(super) async fn fetch(
        &self,
        call: &Call,
        scope: &Scope,
        what: &str,
        welcome: &[u16],
    ) -> Result<Response, RegistryError> {
        // The first request of all goes alone, so that many at once do not all run into a 401.
        let mut first = None;
        self.greeted
            .get_or_try_init(|| async {
                first = Some(self.once(call, scope).await?);
                Ok::<_, RegistryError>(())
            })
            .await?;
        let response = match first {
            Some(response) => response,
            None => self.once(call, scope).await?,
        };
        self.judge(response, what, welcome).await
    }

    async fn once(&self, call: &Call, scope: &Scope) -> Result<Response, RegistryError> {
        let authorization = self.authorization(scope).await?;
        let response = self.transport.send(&self.host, call, authorization.as_ref()).await?;
        if !self.renewed(&response, scope, authorization.as_ref()).await? {
            return Ok(response);
        }
        let authorization = self.authorization(scope).await?;
        self.transport.send(&self.host, call, authorization.as_ref()).await
    }

    pub(super) async fn authorization(&self, scope: &Scope) -> Result<Option<HeaderValue>, RegistryError> {
        self.auth.header(&self.transport, &self.host, scope).await
    }

    /// Whether `response` is a 401 of the registry itself after which another attempt makes sense.
    pub(super) async fn renewed(
        &self,
        response: &Response,
        scope: &Scope,
        used: Option<&HeaderValue>,
    ) -> Result<bool, RegistryError> {
        if response.status() != StatusCode::UNAUTHORIZED || !self.host.owns(response.url()) {
            return Ok(false);
        }
        let values = response.headers().get_all(WWW_AUTHENTICATE);
        let challenge = Challenge::choose(values.iter().filter_map(|value| value.to_str().ok()));
        self.auth.challenged(&self.host, scope, used, challenge).await
    }

    /// Lets a welcome response through, makes an error of any other.
    pub(super) async fn judge(
        &self,
        response: Response,
        what: &str,
        welcome: &[u16],
    ) -> Result<Response, RegistryError> {
        if welcome.contains(&response.status().as_u16()) {
            return Ok(response);
        }
        let reply = self.transport.reply(response, what, MAX_ERROR_BODY).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            let detail = super::transport::detail_of(&reply.body);
            return Err(self.auth.refusal(&self.host, what, detail).await);
        }
        Err(status_error_at(&self.host, what, &reply, &*self.options.clock))
    }

    pub(super) fn nonsense(&self, reason: impl Into<String>) -> RegistryError {
        RegistryError::Protocol { host: self.host.name().to_owned(), reason: reason.into() }
    }
}
