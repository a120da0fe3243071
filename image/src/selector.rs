//! One of the images in a layout or an archive: by a name that its entry carries, or by its digest.

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, DigestError};

/// Longest name that is looked for: a reference and a digest, with room.
const MAX_NAME: usize = 512;

/// One of a layout's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// By its tag, or by the whole name that containerd gives it.
    Name(String),
    /// By the digest of its index or manifest.
    Digest(Digest),
}

/// Why a string is no selector.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// A name that no layout could hold.
    #[error(
        "image {0:?} is invalid: expected a tag such as v1, a name such as localhost/hello:v1, or a digest"
    )]
    Name(String),
    /// Begins as a digest does.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.starts_with("sha256:") || text.starts_with("sha512:") {
            return Ok(Self::Digest(text.parse()?));
        }
        let good = !text.is_empty()
            && text.len() <= MAX_NAME
            && text.chars().all(|letter| !letter.is_control() && !letter.is_whitespace());
        if good {
            Ok(Self::Name(text.to_owned()))
        } else {
            Err(SelectorError::Name(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Digest(digest) => write!(f, "{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_names_and_digests() {
        assert_eq!("v1".parse(), Ok(Selector::Name("v1".to_owned())));
        assert_eq!("localhost/x:v1".parse(), Ok(Selector::Name("localhost/x:v1".to_owned())));
        let digest = Digest::of(b"");
        assert_eq!(digest.to_string().parse(), Ok(Selector::Digest(digest)));
        for text in ["", "a b", "a\n", "sha256:1", &"x".repeat(513)] {
            assert!(text.parse::<Selector>().is_err(), "{text:?}");
        }
    }
}
