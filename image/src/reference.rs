//! Image references as Docker reads them: `[host[:port]/]path[:tag][@digest]`.
//! Grammar: <https://github.com/distribution/reference/blob/main/reference.go>

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, DigestError};

/// The registry of a reference that names none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The folder of a one-word repository on [`DEFAULT_REGISTRY`].
const DEFAULT_NAMESPACE: &str = "library";
/// The tag of a reference that has neither tag nor digest.
const DEFAULT_TAG: &str = "latest";
/// Longest repository name, registry included. Same source as the grammar.
const MAX_NAME: usize = 255;
/// Longest tag. Same source.
const MAX_TAG: usize = 128;

/// A reference in full: registry, repository, and a tag or a digest or both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a string is no reference.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing before the tag.
    #[error("image reference is empty: expected a name such as localhost/hello:dev")]
    Empty,
    /// Registry and repository together are over-long.
    #[error("image reference is longer than {MAX_NAME} characters")]
    TooLong,
    /// Not `host` or `host:port`.
    #[error("registry {0:?} is no host name with optional port")]
    Registry(String),
    /// Docker wants lower case, and single separators within words.
    #[error(
        "repository {0:?} is invalid: words of a-z and 0-9, joined by '.', '_', '__' or '-', separated by '/'"
    )]
    Repository(String),
    /// Not `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
    #[error(
        "tag {0:?} is invalid: up to {MAX_TAG} letters, digits, '_', '.', '-', not beginning with '.' or '-'"
    )]
    Tag(String),
    /// After the `@`.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Reference {
    /// Host and optional port.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path on the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` when the text had neither tag nor digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest after the `@`.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        // A colon is a tag's only after the last slash: before it, it is a port's.
        let after_slash = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[after_slash..].find(':') {
            Some(colon) => (&rest[..after_slash + colon], Some(&rest[after_slash + colon + 1..])),
            None => (rest, None),
        };
        if name.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        let (registry, repository) = split_registry(name);
        if registry.len() + 1 + repository.len() > MAX_NAME {
            return Err(ReferenceError::TooLong);
        }
        check_registry(registry)?;
        if !repository.split('/').all(is_path_component) {
            return Err(ReferenceError::Repository(repository));
        }
        let tag = match (tag, &digest) {
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl serde::Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The first word is a registry when it has a dot, a colon or an upper-case letter, or is `localhost`.
fn split_registry(name: &str) -> (&str, String) {
    match name.split_once('/') {
        Some((first, path))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(|letter| letter.is_ascii_uppercase()) =>
        {
            (first, path.to_owned())
        }
        Some(_) => (DEFAULT_REGISTRY, name.to_owned()),
        None => (DEFAULT_REGISTRY, format!("{DEFAULT_NAMESPACE}/{name}")),
    }
}

fn check_registry(registry: &str) -> Result<(), ReferenceError> {
    let error = || ReferenceError::Registry(registry.to_owned());
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or_else(error)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| error())?;
            (None, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(error)?) })
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(registry), None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_port = |port: &str| !port.starts_with('+') && port.parse::<u16>().is_ok();
    let good = host.is_none_or(|host| host.split('.').all(is_label)) && port.is_none_or(is_port);
    if good { Ok(()) } else { Err(error()) }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(word: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well = |byte: Option<u8>| byte.is_some_and(is_letter);
    if !ends_well(word.bytes().next()) || !ends_well(word.bytes().last()) {
        return false;
    }
    word.split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit()).all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    })
}

fn check_tag(tag: &str) -> Result<(), ReferenceError> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let good = tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
    if good { Ok(()) } else { Err(ReferenceError::Tag(tag.chars().take(160).collect())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_docker_does() {
        for (text, full) in [
            ("hello", "docker.io/library/hello:latest"),
            ("akri/hello:v1", "docker.io/akri/hello:v1"),
            ("localhost/akri-wasm/debug-echo:dev", "localhost/akri-wasm/debug-echo:dev"),
            ("localhost:5000/x:v1", "localhost:5000/x:v1"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("[::1]:5000/x", "[::1]:5000/x:latest"),
            ("ghcr.io/a/b__c/d---e:1.0_x", "ghcr.io/a/b__c/d---e:1.0_x"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn a_digest_needs_no_tag() {
        let text = format!("localhost/x@{}", Digest::of(b""));
        let reference: Reference = text.parse().unwrap();
        assert_eq!((reference.tag(), reference.to_string()), (None, text));
        assert_eq!((reference.registry(), reference.repository()), ("localhost", "x"));
        assert_eq!(reference.digest(), Some(&Digest::of(b"")));
    }

    #[test]
    fn refuses_what_docker_refuses() {
        let long = format!("localhost/{}", "a".repeat(250));
        for text in [
            "",
            ":v1",
            "/x",
            "x/",
            "a//b",
            "Hello",
            "localhost/../x",
            "x:",
            "x:.v1",
            "x:v 1",
            "x@sha256:1",
            "localhost:port/x",
            "localhost:/x",
            "-a.b/x",
            "a..b/x",
            "a/b___c",
            "x_",
            "[::1/x",
            "a/b\nc",
            &long,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
