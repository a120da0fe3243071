//! Where an image is or goes, as people write it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::layout::Output;
use crate::reference::{Reference, ReferenceError};
use crate::selector::{Selector, SelectorError};

/// Where an image is or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `docker://REFERENCE`, or a bare reference.
    Registry(Reference),
    /// `oci:DIR[:TAG]`, `oci:DIR@DIGEST`, or a path that begins with `/`, `./`, `../` or ends in `/`.
    Layout(PathBuf, Option<Selector>),
    /// `oci-archive:FILE[:TAG]`, or a path that ends in `.tar`.
    Archive(PathBuf, Option<Selector>),
}

/// Why a string is no place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// `oci:` and nothing.
    #[error("{0:?} names no file or folder")]
    NoPath(String),
    /// Not a reference.
    #[error("{0}; files are written as oci:DIR, oci-archive:FILE, ./DIR or FILE.tar")]
    Reference(#[from] ReferenceError),
    /// Not a tag or digest.
    #[error(transparent)]
    Selector(#[from] SelectorError),
}

impl Place {
    /// A path whatever it looks like: an archive if it ends in `.tar` or is a file, else a layout.
    pub fn from_path(path: PathBuf, selector: Option<Selector>) -> Self {
        match Output::from_path(path) {
            Output::Layout(path) if path.is_file() => Self::Archive(path, selector),
            Output::Layout(path) => Self::Layout(path, selector),
            Output::Archive(path) if path.is_dir() => Self::Layout(path, selector),
            Output::Archive(path) => Self::Archive(path, selector),
        }
    }

    /// Its path, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Registry(_) => None,
            Self::Layout(path, _) | Self::Archive(path, _) => Some(path),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if let Some(reference) = text.strip_prefix("docker://") {
            return Ok(Self::Registry(reference.parse()?));
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            let (path, selector) = split(text, rest)?;
            return Ok(Self::Layout(path, selector));
        }
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            let (path, selector) = split(text, rest)?;
            return Ok(Self::Archive(path, selector));
        }
        if text.ends_with(".tar") {
            return Ok(Self::Archive(text.into(), None));
        }
        let is_path = ["/", "./", "../"].iter().any(|start| text.starts_with(start))
            || text.ends_with('/')
            || matches!(text, "." | "..");
        if is_path {
            return Ok(Self::Layout(text.into(), None));
        }
        Ok(Self::Registry(text.parse()?))
    }
}

/// A path, and what selects an image in it: after an `@`, or after the last colon if no slash follows.
fn split(text: &str, rest: &str) -> Result<(PathBuf, Option<Selector>), PlaceError> {
    let (path, selector) = match rest.split_once("@sha") {
        Some((path, _)) => (path, Some(&rest[path.len() + 1..])),
        None => match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        },
    };
    if path.is_empty() {
        return Err(PlaceError::NoPath(text.chars().take(160).collect()));
    }
    Ok((path.into(), selector.map(str::parse).transpose()?))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path, selector) = match self {
            Self::Registry(reference) => return write!(f, "{reference}"),
            Self::Layout(path, selector) => ("oci", path, selector),
            Self::Archive(path, selector) => ("oci-archive", path, selector),
        };
        write!(f, "{scheme}:{}", path.display())?;
        match selector {
            Some(Selector::Name(name)) => write!(f, ":{name}"),
            Some(Selector::Digest(digest)) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn reads_what_people_write() {
        let digest = Digest::of(b"");
        let tag = |tag: &str| Some(Selector::Name(tag.to_owned()));
        for (text, place) in [
            ("localhost:5000/x:v1", Place::Registry("localhost:5000/x:v1".parse().unwrap())),
            ("docker://hello", Place::Registry("hello".parse().unwrap())),
            ("oci:dir", Place::Layout("dir".into(), None)),
            ("oci:dir:v1", Place::Layout("dir".into(), tag("v1"))),
            ("oci:a:b/dir", Place::Layout("a:b/dir".into(), None)),
            ("oci-archive:x.tar:v1", Place::Archive("x.tar".into(), tag("v1"))),
            ("x/y.tar", Place::Archive("x/y.tar".into(), None)),
            ("./x", Place::Layout("./x".into(), None)),
            ("x/", Place::Layout("x/".into(), None)),
            ("/x", Place::Layout("/x".into(), None)),
        ] {
            assert_eq!(text.parse::<Place>().unwrap(), place, "{text}");
        }
        let text = format!("oci:dir@{digest}");
        let place = Place::Layout("dir".into(), Some(Selector::Digest(digest)));
        assert_eq!(text.parse::<Place>().unwrap(), place);
        assert_eq!(place.to_string(), text);
        for text in ["", "oci:", "oci::x", "oci:x:", "docker://", "X", "oci:d@sha256:../../x", "oci:d:a b"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
