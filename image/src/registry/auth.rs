//! From a challenge to an `Authorization` header. Tokens are kept for as long as they live, one per scope; credentials
//! are looked for once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::challenge::Challenge;
use super::credentials::{CredentialSource, Found};
use super::host::{Host, origin_of};
use super::transport::{Body, Transport, detail_of};
use super::{Credential, RegistryError, Secret};

/// Most bytes of a token service's answer.
const MAX_TOKEN: u64 = 256 * 1024;
/// How long a token lives that does not say so. <https://distribution.github.io/distribution/spec/auth/token/>
const DEFAULT_LIFE: u64 = 60;
/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_secs(10);
/// What this client calls itself at token services. <https://distribution.github.io/distribution/spec/auth/oauth/>
const CLIENT_ID: &str = "wasm-image";

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Reading a repository.
    Pull(String),
    /// Writing to one, perhaps with blobs mounted from another.
    Push(String, Option<String>),
}

impl Scope {
    pub(super) fn repository(&self) -> &str {
        let (Self::Pull(repository) | Self::Push(repository, _)) = self;
        repository
    }

    /// As token services write it. <https://distribution.github.io/distribution/spec/auth/scope/>
    fn parameters(&self) -> Vec<String> {
        match self {
            Self::Pull(repository) => vec![format!("repository:{repository}:pull")],
            Self::Push(repository, from) => {
                let mut all = vec![format!("repository:{repository}:pull,push")];
                all.extend(from.iter().map(|from| format!("repository:{from}:pull")));
                all
            }
        }
    }
}

/// What is known about how a registry is spoken to.
#[derive(Default)]
pub(super) struct Auth {
    source: CredentialSource,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    found: Option<Option<Found>>,
    tokens: HashMap<Scope, (HeaderValue, Instant)>,
}

/// A token service's answer; services differ in the name of the field.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    pub(super) fn new(source: CredentialSource) -> Self {
        Self { source, state: Mutex::default() }
    }

    /// The header for `scope`, if the registry wants one. The lock makes concurrent requests share one token.
    pub(super) async fn header(
        &self,
        transport: &Transport,
        host: &Host,
        scope: &Scope,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let mut state = self.state.lock().await;
        let Some(challenge) = state.challenge.clone() else { return Ok(None) };
        if let Some((header, end)) = state.tokens.get(scope)
            && Instant::now() < *end
        {
            return Ok(Some(header.clone()));
        }
        let found = match &state.found {
            Some(found) => found.clone(),
            None => {
                let found = self.source.find(host.name(), scope.repository()).await?;
                state.found = Some(found.clone());
                found
            }
        };
        let (header, life) = match &challenge {
            Challenge::Basic => (basic(host, scope, found.as_ref())?, None),
            Challenge::Bearer { realm, service } => {
                let asked = Asked { transport, host, scope, realm, service: service.as_deref() };
                let (header, life) = asked.token(found.as_ref()).await?;
                (header, Some(life))
            }
        };
        // A day stands for ever.
        let life = life.unwrap_or(Duration::from_secs(86_400)).saturating_sub(MARGIN);
        state.tokens.insert(scope.clone(), (header.clone(), Instant::now() + life));
        Ok(Some(header))
    }

    /// Takes in a 401 to a request that carried `used`. False if it carried the newest there is.
    pub(super) async fn challenged(
        &self,
        host: &Host,
        scope: &Scope,
        used: Option<&HeaderValue>,
        challenge: Option<Challenge>,
    ) -> Result<bool, RegistryError> {
        let Some(challenge) = challenge else { return Ok(false) };
        if let Challenge::Bearer { realm, .. } = &challenge {
            check_realm(host, realm)?;
        }
        let mut state = self.state.lock().await;
        let current = state.tokens.get(scope).map(|(header, _)| header);
        if used.is_some() && current.is_some() && current != used {
            return Ok(true);
        }
        state.tokens.remove(scope);
        state.challenge = Some(challenge);
        Ok(true)
    }

    /// The error of a request that was answered with 401 in the end.
    pub(super) async fn refusal(&self, host: &Host, what: &str, detail: String) -> RegistryError {
        let state = self.state.lock().await;
        refusal(host, what, state.found.as_ref().and_then(Option::as_ref), detail)
    }
}

fn refusal(host: &Host, what: &str, found: Option<&Found>, detail: String) -> RegistryError {
    let (host, what) = (host.name().to_owned(), what.to_owned());
    match found {
        Some(found) => {
            let from = format!("{} ({})", found.from, found.credential);
            RegistryError::WrongCredentials { host, from, what, detail }
        }
        None => RegistryError::NoCredentials { host, what, detail },
    }
}

fn check_realm(host: &Host, realm: &str) -> Result<Url, RegistryError> {
    let url = Url::parse(realm).map_err(|_| RegistryError::Protocol {
        host: host.name().to_owned(),
        reason: "the realm of its challenge is no address".to_owned(),
    })?;
    if host.is_as_safe(&url) {
        return Ok(url);
    }
    Err(RegistryError::UnsafeRealm { host: host.name().to_owned(), realm: origin_of(&url) })
}

fn basic(host: &Host, scope: &Scope, found: Option<&Found>) -> Result<HeaderValue, RegistryError> {
    match found {
        Some(Found { credential: Credential::Basic { username, password }, .. }) => {
            Ok(basic_header(username, password))
        }
        found => Err(refusal(host, scope.repository(), found, String::new())),
    }
}

fn basic_header(username: &str, password: &Secret) -> HeaderValue {
    let pair = format!("{username}:{}", password.expose());
    let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    sensitive(&text).expect("base64 is printable ASCII")
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// One question to a token service.
struct Asked<'a> {
    transport: &'a Transport,
    host: &'a Host,
    scope: &'a Scope,
    realm: &'a str,
    service: Option<&'a str>,
}

impl Asked<'_> {
    async fn token(&self, found: Option<&Found>) -> Result<(HeaderValue, Duration), RegistryError> {
        let mut url = check_realm(self.host, self.realm)?;
        let mut pairs: Vec<(&str, String)> =
            self.service.iter().map(|service| ("service", (*service).to_owned())).collect();
        let reply = match found.map(|found| &found.credential) {
            Some(Credential::Identity(token)) => {
                pairs.push(("grant_type", "refresh_token".to_owned()));
                pairs.push(("client_id", CLIENT_ID.to_owned()));
                pairs.push(("scope", self.scope.parameters().join(" ")));
                pairs.push(("refresh_token", token.expose().to_owned()));
                let form = form(&pairs);
                self.transport.token(Method::POST, url, None, Body::Form(form), MAX_TOKEN).await?
            }
            other => {
                pairs.extend(self.scope.parameters().into_iter().map(|scope| ("scope", scope)));
                url.query_pairs_mut().extend_pairs(&pairs);
                let header = match other {
                    Some(Credential::Basic { username, password }) => Some(basic_header(username, password)),
                    _ => None,
                };
                self.transport.token(Method::GET, url, header, Body::Empty, MAX_TOKEN).await?
            }
        };
        match reply.status.as_u16() {
            200 => {}
            // Some services say 400 or 403 where they mean 401.
            400 | 401 | 403 => {
                let what = self.scope.repository();
                return Err(refusal(self.host, what, found, detail_of(&reply.body)));
            }
            _ => {
                return Err(self.transport.status_error(self.host.name(), "token", &reply));
            }
        }
        let nonsense = |reason: &str| RegistryError::Protocol {
            host: self.host.name().to_owned(),
            reason: format!("its token service {reason}"),
        };
        // The parser's own words could repeat the token.
        let answer: TokenAnswer =
            serde_json::from_slice(&reply.body).map_err(|_| nonsense("gives no valid answer"))?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let token = token.ok_or_else(|| nonsense("gives no token"))?;
        let header = sensitive(&format!("Bearer {token}")).ok_or_else(|| nonsense("gives no valid token"))?;
        let life = answer.expires_in.filter(|life| *life > 0).unwrap_or(DEFAULT_LIFE).min(86_400);
        Ok((header, Duration::from_secs(life)))
    }
}

/// `application/x-www-form-urlencoded`, by the one encoder that is here already.
fn form(pairs: &[(&str, String)]) -> String {
    let mut url = Url::parse("http://form/").expect("a constant address");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}
