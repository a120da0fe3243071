//! `config.json` of Docker and `auth.json` of podman, as they are read for credentials. Never written.
//! <https://docs.docker.com/reference/cli/docker/login/#credential-stores>
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use serde::Deserialize;

use super::credentials::{CredentialError, Found};
use super::helper;
use super::{Credential, Secret};

/// Most bytes of such a file; real ones have some thousands.
const MAX_FILE: u64 = 1 << 20;
/// Under which name Docker keeps what belongs to docker.io.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// One file.
pub(super) struct DockerConfig {
    path: PathBuf,
    content: Content,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Content {
    auths: HashMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl DockerConfig {
    /// `None` if there is no such file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, CredentialError> {
        let failed = |source| CredentialError::File { path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is over 1 MiB")));
        }
        // The parser's own words could repeat a secret: only the line is told.
        let content = serde_json::from_slice(&bytes)
            .map_err(|error| CredentialError::Malformed { path: path.to_owned(), line: error.line() })?;
        Ok(Some(Self { path: path.to_owned(), content }))
    }

    pub(super) async fn find(
        &self,
        registry: &str,
        repository: &str,
        timeout: Duration,
    ) -> Result<Option<Found>, CredentialError> {
        let content = &self.content;
        if let Some(helper) = content.cred_helpers.get(registry) {
            return self.ask(helper, registry, timeout).await;
        }
        let entry = keys(registry, repository).into_iter().find_map(|key| {
            // Old versions wrote addresses.
            let known =
                [key.clone(), format!("https://{key}"), format!("https://{key}/v1/"), format!("{key}/")];
            known.iter().find_map(|key| content.auths.get(key))
        });
        if let Some(credential) = entry.map(|entry| self.entry(registry, entry)).transpose()?.flatten() {
            return Ok(Some(Found { credential, from: self.path.display().to_string() }));
        }
        match &content.creds_store {
            Some(helper) => self.ask(helper, registry, timeout).await,
            None => Ok(None),
        }
    }

    async fn ask(
        &self,
        name: &str,
        registry: &str,
        limit: Duration,
    ) -> Result<Option<Found>, CredentialError> {
        let key = if registry == "docker.io" { DOCKER_HUB_KEY } else { registry };
        let credential = helper::get(name, key, limit).await?;
        Ok(credential.map(|credential| Found { credential, from: helper::program(name) }))
    }

    /// An entry without content is what `docker login` leaves when a helper keeps the secret.
    fn entry(&self, registry: &str, entry: &Entry) -> Result<Option<Credential>, CredentialError> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&entry.identitytoken) {
            return Ok(Some(Credential::Identity(Secret::new(token))));
        }
        if let (Some(username), Some(password)) = (filled(&entry.username), filled(&entry.password)) {
            return Ok(Some(Credential::Basic { username, password: Secret::new(password) }));
        }
        let Some(auth) = filled(&entry.auth) else { return Ok(None) };
        let error = || CredentialError::Entry { path: self.path.clone(), registry: registry.to_owned() };
        let bytes = base64::engine::general_purpose::STANDARD.decode(auth.trim()).map_err(|_| error())?;
        let text = String::from_utf8(bytes).map_err(|_| error())?;
        let (username, password) = text.split_once(':').ok_or_else(error)?;
        // Docker once padded with zero bytes.
        let password = password.trim_end_matches('\0').to_owned();
        Ok(Some(Credential::Basic { username: username.to_owned(), password: Secret::new(password) }))
    }
}

/// The names under which credentials may stand, the most special first: podman knows them by repository too.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut path = repository;
    loop {
        keys.push(format!("{registry}/{path}"));
        match path.rsplit_once('/') {
            Some((parent, _)) => path = parent,
            None => break,
        }
    }
    keys.push(registry.to_owned());
    if registry == "docker.io" {
        keys.extend(["index.docker.io", DOCKER_HUB_KEY, "registry-1.docker.io"].map(str::to_owned));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(content: &str, registry: &str) -> Result<Option<Credential>, CredentialError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, content).unwrap();
        let config = DockerConfig::read(&path)?.unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(config.find(registry, "a/b", Duration::from_secs(5)))?;
        Ok(found.map(|found| found.credential))
    }

    fn basic(username: &str, password: &str) -> Option<Credential> {
        let password = Secret::new(password.to_owned());
        Some(Credential::Basic { username: username.to_owned(), password })
    }

    #[test]
    fn entries() {
        // "me:pass:word"
        let auth = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6cGFzczp3b3Jk"},"r:5000":{}}}"#;
        assert_eq!(find(auth, "docker.io").unwrap(), basic("me", "pass:word"));
        assert_eq!(find(auth, "r:5000").unwrap(), None);
        assert_eq!(find(auth, "other").unwrap(), None);
        let podman = r#"{"auths":{"r":{"auth":"eDp5"},"r/a":{"username":"u","password":"p"}}}"#;
        assert_eq!(find(podman, "r").unwrap(), basic("u", "p"));
        let identity = r#"{"auths":{"r":{"auth":"eDp5","identitytoken":"t"}}}"#;
        assert_eq!(find(identity, "r").unwrap(), Some(Credential::Identity(Secret::new("t".to_owned()))));
    }

    #[test]
    fn damage_is_told_without_the_secret() {
        for content in [r#"{"auths":{"r":{"auth":"hunter2!"}}}"#, r#"{"auths":"hunter2"}"#, "hunter2"] {
            let text = format!("{:?}", anyhow::Error::from(find(content, "r").unwrap_err()));
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
