//! What can go wrong with a registry, in words that say what to do.

use std::io;
use std::time::Duration;

use super::credentials::CredentialError;
use crate::digest::Digest;

/// What a failure means to whoever called the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Credentials are missing or refused.
    Authentication,
    /// There is no such image, tag or blob.
    NotFound,
    /// Something is not what its digest or length says.
    Integrity,
    /// All else.
    Other,
}

/// Why a registry could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No address can be made of the name.
    #[error("{0:?} is no address of a registry")]
    Address(String),
    /// Plain HTTP to another machine.
    #[error(
        "{0} is no loopback address: plain HTTP would show credentials and images to the network; give --plain-http twice if that is meant"
    )]
    PlainHttpRefused(String),
    /// The other side does not speak TLS.
    #[error("{host} does not speak TLS: give --plain-http if it is meant to be reached by plain HTTP")]
    NotTls {
        /// Who.
        host: String,
        /// What rustls says.
        source: rustls::Error,
    },
    /// A private authority.
    #[error(
        "the certificate of {host} is signed by no known authority: give the registry's CA with --ca-file"
    )]
    UnknownIssuer {
        /// Who.
        host: String,
        /// What rustls says.
        source: rustls::Error,
    },
    /// An expired certificate, another name.
    #[error("the TLS handshake with {host} failed")]
    Tls {
        /// Who.
        host: String,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The file with authorities.
    #[error("cannot read certificates from {path}")]
    CaFile {
        /// Which.
        path: std::path::PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No TLS at all.
    #[error("TLS cannot be set up")]
    TlsSetup(#[source] rustls::Error),
    /// No HTTP client.
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
    /// No connection.
    #[error("cannot reach {host}")]
    Connect {
        /// Who.
        host: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// A connection that ended too early.
    #[error("the connection to {host} broke")]
    Broken {
        /// Who.
        host: String,
        /// How.
        source: reqwest::Error,
    },
    /// Nothing came for too long.
    #[error("{host} has been silent for {seconds} s")]
    Stalled {
        /// Who.
        host: String,
        /// How long.
        seconds: u64,
    },
    /// 401, or a token service's refusal.
    #[error(
        "{host} wants credentials for {what}: log in, set WASM_IMAGE_USERNAME and WASM_IMAGE_PASSWORD, or give --username and --password-stdin{detail}"
    )]
    NoCredentials {
        /// Who.
        host: String,
        /// For what.
        what: String,
        /// The registry's own words, after ": ".
        detail: String,
    },
    /// 401 in spite of credentials.
    #[error("{host} refuses the credentials from {from} for {what}{detail}")]
    WrongCredentials {
        /// Who.
        host: String,
        /// Where they were found.
        from: String,
        /// For what.
        what: String,
        /// The registry's own words, after ": ".
        detail: String,
    },
    /// 403.
    #[error("{host} does not allow {what}{detail}")]
    Forbidden {
        /// Who.
        host: String,
        /// What.
        what: String,
        /// The registry's own words, after ": ".
        detail: String,
    },
    /// 404.
    #[error("{what}: {host} has no such thing{detail}")]
    NotFound {
        /// Who.
        host: String,
        /// What was asked for.
        what: String,
        /// The registry's own words, after ": ".
        detail: String,
    },
    /// Any other status.
    #[error("{what}: {host} answers {status}{detail}")]
    Status {
        /// Who.
        host: String,
        /// What was asked for.
        what: String,
        /// The status code.
        status: u16,
        /// The registry's own words, after ": ".
        detail: String,
        /// When it says to come again.
        retry_after: Option<Duration>,
    },
    /// Credentials would travel in the open.
    #[error("{host} sends credentials to {realm}, which is not guarded by TLS: refused")]
    UnsafeRealm {
        /// Who.
        host: String,
        /// Where.
        realm: String,
    },
    /// A redirect or upload location without TLS.
    #[error("{host} points to {target}, which is less guarded than the registry: refused")]
    UnsafeTarget {
        /// Who.
        host: String,
        /// Where.
        target: String,
    },
    /// A chain of redirects.
    #[error("{host} redirects more than {limit} times")]
    Redirects {
        /// Who.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// An answer that no specification foresees.
    #[error("{host} gives an answer that makes no sense: {reason}")]
    Protocol {
        /// Who.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A body over the limit.
    #[error("{what}: {host} sends more than {limit} bytes")]
    TooLarge {
        /// Who.
        host: String,
        /// What was asked for.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// Content of another digest.
    #[error("{what} from {host} is damaged or forged: its digest is {found}, not {expected}")]
    WrongDigest {
        /// Who.
        host: String,
        /// What was asked for.
        what: &'static str,
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// Content of another length.
    #[error("{digest} from {host} has {found} bytes, its descriptor says {expected}")]
    WrongLength {
        /// Who.
        host: String,
        /// Which.
        digest: Digest,
        /// What the descriptor says.
        expected: u64,
        /// What came, or was announced.
        found: String,
    },
    /// Reading what is to be sent.
    #[error("cannot read {digest} to send it")]
    Input {
        /// Which.
        digest: Digest,
        /// Why not.
        source: super::upload::InputError,
    },
    /// The credentials could not be found out.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

impl RegistryError {
    /// What it means to the caller.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NoCredentials { .. }
            | Self::WrongCredentials { .. }
            | Self::Forbidden { .. }
            | Self::UnsafeRealm { .. }
            | Self::Credentials(_) => FailureKind::Authentication,
            Self::NotFound { .. } => FailureKind::NotFound,
            Self::WrongDigest { .. } | Self::WrongLength { .. } | Self::Input { .. } => {
                FailureKind::Integrity
            }
            _ => FailureKind::Other,
        }
    }

    /// Whether the same may go well a little later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Stalled { .. } => true,
            Self::Status { status, .. } => match status {
                408 | 429 => true,
                501 | 505 => false,
                status => (500..600).contains(status),
            },
            _ => false,
        }
    }

    /// How long the registry asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
