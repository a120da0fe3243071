//! Who asks. Credentials are looked for only when a registry wants some, in this order:
//!
//! 1. `--username` with `--password-stdin`,
//! 2. `WASM_IMAGE_USERNAME` and `WASM_IMAGE_PASSWORD`,
//! 3. `$REGISTRY_AUTH_FILE`; without it `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, then
//!    `$XDG_RUNTIME_DIR/containers/auth.json` and `~/.config/containers/auth.json`. In each file a helper of that
//!    registry (`credHelpers`) comes first, then `auths`, then `credsStore`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Secret;
use super::docker_config::DockerConfig;

/// What a registry is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user's name and password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token, which the token service changes for a short-lived one.
    /// <https://distribution.github.io/distribution/spec/auth/oauth/>
    Identity(Secret),
}

/// Where credentials come from. The default is nowhere.
#[derive(Clone, Debug, Default)]
pub struct CredentialSource {
    /// From the command line or the environment, with the words that say so.
    pub given: Option<(Credential, &'static str)>,
    /// Configuration files, the first that knows the registry counts.
    pub files: Vec<PathBuf>,
    /// How long a credential helper may take.
    pub helper_timeout: Option<Duration>,
}

/// Credentials and where they were found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub credential: Credential,
    pub from: String,
}

/// Why credentials could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file that is there, but cannot be used.
    #[error("cannot read credentials from {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Not JSON of the right form. What it holds is not repeated.
    #[error("cannot read credentials from {path}: line {line} is no valid configuration")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where.
        line: usize,
    },
    /// An `auth` entry that is not base64 of `name:password`.
    #[error("the entry of {registry} in {path} is no base64 of name:password")]
    Entry {
        /// Which file.
        path: PathBuf,
        /// Whose.
        registry: String,
    },
    /// A helper's name that is a path or worse.
    #[error("{0:?} is no name of a credential helper")]
    HelperName(String),
    /// A helper that cannot be run.
    #[error("cannot run {program}: install it, or remove it from the configuration file")]
    Helper {
        /// Its name.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A helper that failed or said nonsense. Its words may hold a secret: they are not repeated.
    #[error("{program} {reason}")]
    HelperFailed {
        /// Its name.
        program: String,
        /// In which way.
        reason: String,
    },
}

impl CredentialSource {
    /// The files where other tools keep credentials; see the top of this file.
    pub fn standard_files(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
        if let Some(file) = variable("REGISTRY_AUTH_FILE") {
            return vec![file];
        }
        let home = variable("HOME");
        let docker = variable("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker")));
        let runtime = variable("XDG_RUNTIME_DIR");
        let config = variable("XDG_CONFIG_HOME").or_else(|| home.map(|home| home.join(".config")));
        let mut files: Vec<PathBuf> = docker.into_iter().map(|folder| folder.join("config.json")).collect();
        files.extend(
            [runtime, config].into_iter().flatten().map(|folder| folder.join("containers/auth.json")),
        );
        files
    }

    /// What is known for `repository` of `registry`.
    pub(super) async fn find(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Found>, CredentialError> {
        if let Some((credential, from)) = &self.given {
            return Ok(Some(Found { credential: credential.clone(), from: (*from).to_owned() }));
        }
        for path in &self.files {
            let Some(config) = DockerConfig::read(path)? else { continue };
            let timeout = self.helper_timeout.unwrap_or(super::helper::TIMEOUT);
            if let Some(found) = config.find(registry, repository, timeout).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => write!(f, "user {}", username.escape_debug()),
            Self::Identity(_) => f.write_str("an identity token"),
        }
    }
}
