//! The one place from which bytes leave: connections, time limits, redirects, bounded bodies. Decides for each hop
//! whether it may carry credentials. Sends once; who sends again is `client`.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Client, Method, Response, StatusCode, Url, redirect};
use tokio::time::timeout;

use super::host::{Host, origin_of};
use super::retry::retry_after;
use super::tls::{self, Roots};
use super::{Clock, RegistryError};

/// Most bytes of an answer that is read for its error message only.
pub(super) const MAX_ERROR_BODY: u64 = 64 * 1024;
/// Most letters of a registry's own words that are repeated.
const MAX_DETAIL: usize = 300;
/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes requests.
pub(super) struct Transport {
    plain: OnceLock<Client>,
    secure: OnceLock<Client>,
    ca_files: Vec<PathBuf>,
    bypass_proxy: bool,
    pub(super) stall: Duration,
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Empty,
    Bytes(Bytes),
    Form(String),
}

/// A request that can be sent any number of times.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Body,
}

/// An answer with its whole, bounded body.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub url: Url,
    pub body: Bytes,
}

impl Call {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), body: Body::Empty }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Transport {
    pub(super) fn new(host: &Host, ca_files: Vec<PathBuf>, stall: Duration) -> Result<Self, RegistryError> {
        let transport = Self {
            plain: OnceLock::new(),
            secure: OnceLock::new(),
            ca_files,
            // A proxy cannot reach what listens on this machine only.
            bypass_proxy: host.is_loopback(),
            stall,
        };
        // Unreadable authorities are an error at once.
        transport.client(&host.url(""))?;
        Ok(transport)
    }

    /// The system's authorities are read only when there is TLS to be spoken.
    fn client(&self, url: &Url) -> Result<&Client, RegistryError> {
        let (cell, roots) = match url.scheme() {
            "http" => (&self.plain, Roots::None),
            _ => (&self.secure, Roots::System(&self.ca_files)),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls::config(roots)?)
            .user_agent(concat!("wasm-image/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(30));
        if self.bypass_proxy {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(RegistryError::Setup)?;
        Ok(cell.get_or_init(|| client))
    }

    /// Sends `call`; follows redirects of what only reads. `authorization` goes to `host` itself and nowhere else.
    pub(super) async fn send(
        &self,
        host: &Host,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let mut url = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.hop(host, call, &url, authorization).await?;
            let reads = matches!(call.method, Method::GET | Method::HEAD);
            if !reads || !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED
            {
                return Ok(response);
            }
            url = self.target(host, &url, response.headers())?;
        }
        Err(RegistryError::Redirects { host: host.name().to_owned(), limit: MAX_REDIRECTS })
    }

    async fn hop(
        &self,
        host: &Host,
        call: &Call,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let mut request = self.client(url)?.request(call.method.clone(), url.clone());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(header) = authorization
            && host.owns(url)
        {
            request = request.header(AUTHORIZATION, header);
        }
        request = match &call.body {
            // Some registries refuse a POST that does not say that it is empty.
            Body::Empty if matches!(call.method, Method::GET | Method::HEAD) => request,
            Body::Empty => request.header(CONTENT_LENGTH, 0),
            Body::Bytes(bytes) => request.body(bytes.clone()),
            Body::Form(text) => {
                request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(text.clone())
            }
        };
        self.within(url, self.stall, request.send()).await
    }

    /// Sends a body that cannot be sent twice. `answer` bounds the wait for what comes back after the last byte;
    /// the caller watches over the bytes themselves.
    pub(super) async fn stream(
        &self,
        host: &Host,
        call: &Call,
        authorization: Option<&HeaderValue>,
        body: reqwest::Body,
        length: u64,
    ) -> Result<Response, RegistryError> {
        let mut request = self.client(&call.url)?.request(call.method.clone(), call.url.clone());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(header) = authorization
            && host.owns(&call.url)
        {
            request = request.header(AUTHORIZATION, header);
        }
        let request = request.header(CONTENT_LENGTH, length).body(body);
        request.send().await.map_err(|error| failure(&origin_of(&call.url), error))
    }

    /// A question to a token service: no redirects, no other credentials.
    pub(super) async fn token(
        &self,
        method: Method,
        url: Url,
        authorization: Option<HeaderValue>,
        body: Body,
        limit: u64,
    ) -> Result<Reply, RegistryError> {
        let mut request = self.client(&url)?.request(method, url.clone());
        if let Some(header) = authorization {
            request = request.header(AUTHORIZATION, header);
        }
        if let Body::Form(text) = body {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(text);
        }
        let response = self.within(&url, self.stall, request.send()).await?;
        self.reply(response, "token", limit).await
    }

    /// The address that an answer to a request to `from` names.
    pub(super) fn target(&self, host: &Host, from: &Url, headers: &HeaderMap) -> Result<Url, RegistryError> {
        let nonsense = |reason: &str| RegistryError::Protocol {
            host: host.name().to_owned(),
            reason: reason.to_owned(),
        };
        let location = headers.get(LOCATION).ok_or_else(|| nonsense("it names no Location"))?;
        let location = location.to_str().map_err(|_| nonsense("its Location is no text"))?;
        let target = from.join(location).map_err(|_| nonsense("its Location is no address"))?;
        if !host.is_as_safe(&target) {
            let target = origin_of(&target);
            return Err(RegistryError::UnsafeTarget { host: host.name().to_owned(), target });
        }
        Ok(target)
    }

    /// Reads the whole answer, which must not be longer than `limit`.
    pub(super) async fn reply(
        &self,
        mut response: Response,
        what: &str,
        limit: u64,
    ) -> Result<Reply, RegistryError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let url = response.url().clone();
        // What is read for its message only may be cut off.
        let cut = !status.is_success();
        let limit = if cut { limit.min(MAX_ERROR_BODY) } else { limit };
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece(&mut response).await? {
            if body.len() as u64 + piece.len() as u64 > limit {
                if cut {
                    break;
                }
                let host = origin_of(&url);
                return Err(RegistryError::TooLarge { host, what: what.to_owned(), limit });
            }
            body.extend_from_slice(&piece);
        }
        Ok(Reply { status, headers, url, body: body.freeze() })
    }

    /// The next piece of a body.
    pub(super) async fn piece(&self, response: &mut Response) -> Result<Option<Bytes>, RegistryError> {
        let url = response.url().clone();
        self.within(&url, self.stall, response.chunk()).await
    }

    async fn within<T>(
        &self,
        url: &Url,
        limit: Duration,
        future: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, RegistryError> {
        let host = origin_of(url);
        match timeout(limit, future).await {
            Ok(result) => result.map_err(|error| failure(&host, error)),
            Err(_) => Err(RegistryError::Stalled { host, seconds: limit.as_secs() }),
        }
    }

    /// The error that an unwelcome status is.
    pub(super) fn status_error(&self, host: &str, what: &str, reply: &Reply) -> RegistryError {
        status_error(host, what, reply, SystemTime::now())
    }
}

/// Like [`Transport::status_error`], with the time of day given.
pub(super) fn status_error_at(host: &Host, what: &str, reply: &Reply, clock: &dyn Clock) -> RegistryError {
    status_error(host.name(), what, reply, clock.now())
}

fn status_error(host: &str, what: &str, reply: &Reply, now: SystemTime) -> RegistryError {
    let (host, what, detail) = (host.to_owned(), what.to_owned(), detail_of(&reply.body));
    match reply.status.as_u16() {
        403 => RegistryError::Forbidden { host, what, detail },
        404 => RegistryError::NotFound { host, what, detail },
        status => {
            let asked = reply.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = asked.and_then(|value| retry_after(value, now));
            RegistryError::Status { host, what, status, detail, retry_after }
        }
    }
}

/// A failed request. Addresses are left out: they may hold signatures and upload secrets.
pub(super) fn failure(host: &str, error: reqwest::Error) -> RegistryError {
    let error = error.without_url();
    if let Some(explained) = tls::explain(host, &error) {
        return explained;
    }
    let host = host.to_owned();
    if error.is_connect() {
        RegistryError::Connect { host, source: error }
    } else {
        RegistryError::Broken { host, source: error }
    }
}

/// A registry's own words, after a colon, on one line and not many.
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>
pub(super) fn detail_of(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Envelope {
        errors: Vec<Entry>,
    }
    #[derive(serde::Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Entry {
        code: String,
        message: String,
    }
    let text = match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) => {
            let each = envelope.errors.into_iter().map(|entry| format!("{} {}", entry.code, entry.message));
            each.collect::<Vec<_>>().join(", ")
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return String::new();
    }
    let short: String = line.chars().take(MAX_DETAIL).collect();
    format!(": {}", short.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_short_and_clean() {
        let envelope = br#"{"errors":[{"code":"DENIED","message":"no \u001b[2Jway"},{"code":"X"}]}"#;
        assert_eq!(detail_of(envelope), ": DENIED no \\u{1b}[2Jway, X");
        assert_eq!(detail_of(b"not\nthere"), ": not there");
        assert_eq!(detail_of(b""), "");
        assert!(detail_of("x".repeat(10_000).as_bytes()).len() < 400);
    }
}
