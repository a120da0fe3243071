//! What of this machine a module sees besides its root: `HOST:GUEST[:ro]`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Whether a volume can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Yes.
    ReadWrite,
    /// No.
    ReadOnly,
}

/// A place beneath a module's root, without links, `.` and `..`, and not the root itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestPath(String);

/// A folder or file of this machine at a place beneath the module's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// On this machine.
    pub host: PathBuf,
    /// For the module.
    pub guest: GuestPath,
    /// Whether it can be changed.
    pub access: Access,
}

/// Why a string is no volume.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// Not three words at most, or an unknown third one.
    #[error("volume {0:?} is invalid: expected HOST:GUEST, HOST:GUEST:ro or HOST:GUEST:rw")]
    Form(String),
    /// No place for a volume.
    #[error(
        "volume {0:?} has an invalid place: it begins with / and is not / itself, without .. and control characters"
    )]
    Place(String),
}

impl GuestPath {
    /// From the root on, without the slash at its beginning.
    pub fn relative(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl FromStr for GuestPath {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, VolumeError> {
        let words: Vec<&str> = text.split('/').filter(|word| !matches!(*word, "" | ".")).collect();
        let good = text.starts_with('/')
            && !words.is_empty()
            && !words.contains(&"..")
            && !text.contains(|letter: char| letter.is_control());
        if good { Ok(Self(words.join("/"))) } else { Err(VolumeError::Place(text.to_owned())) }
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl FromStr for Volume {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, VolumeError> {
        let error = || VolumeError::Form(text.to_owned());
        let words: Vec<&str> = text.split(':').collect();
        let access = match words.get(2) {
            None | Some(&"rw") => Access::ReadWrite,
            Some(&"ro") => Access::ReadOnly,
            Some(_) => return Err(error()),
        };
        match words[..] {
            [host, guest] | [host, guest, _] if !host.is_empty() => {
                Ok(Self { host: host.into(), guest: guest.parse()?, access })
            }
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes() {
        let volume: Volume = "data:/var//lib/./x/:ro".parse().unwrap();
        assert_eq!((volume.host, volume.access), ("data".into(), Access::ReadOnly));
        assert_eq!(volume.guest.to_string(), "/var/lib/x");
        assert_eq!("a:/b".parse::<Volume>().unwrap().access, Access::ReadWrite);
        for text in
            ["", "a", "a:", ":/b", "a:b", "a:/", "a:/.", "a:/b/../..", "a:/b:rx", "a:/b:ro:ro", "a:/b\n"]
        {
            assert!(text.parse::<Volume>().is_err(), "{text:?}");
        }
    }
}
