//! What an image's author may set, each value parsed once: entry names, users, `K=V` pairs.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::spec;

/// Longest entry name: with `.wasm` it fits into every tar header without an extension.
const MAX_ENTRY_NAME: usize = 80;

/// The name of the one file in the image, without folder and without `.wasm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryName(String);

/// The user that the image's process runs as: numbers, for an image from scratch has no `/etc/passwd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    uid: u32,
    gid: Option<u32>,
}

/// A `KEY=VALUE` of an annotation, a label or the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    key: String,
    value: String,
}

/// Why a string is no setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not usable as the name of the image's file.
    #[error(
        "name {0:?} is invalid: up to {MAX_ENTRY_NAME} letters, digits, '.', '_', '-', beginning with a letter or digit; say another one with --name"
    )]
    EntryName(String),
    /// The path has no file name, or one that is no UTF-8.
    #[error("cannot take a name from {0:?}: say one with --name")]
    NoFileName(String),
    /// crun would take the binary for a module.
    #[error(
        "name {0:?} of a native binary ends like a module's: crun would hand it to WasmEdge; say another one with --name"
    )]
    LooksLikeModule(String),
    /// Not `uid` or `uid:gid`.
    #[error("user {0:?} is invalid: expected uid or uid:gid in numbers, as the image has no /etc/passwd")]
    User(String),
    /// No `=`, an empty key, or a NUL.
    #[error("{0:?} is invalid: expected KEY=VALUE")]
    KeyValue(String),
}

impl EntryName {
    /// The name that `path` suggests: its last part, without `.wasm`.
    pub fn of_file(path: &Path) -> Result<Self, SettingError> {
        let error = || SettingError::NoFileName(path.display().to_string());
        path.file_name().and_then(|name| name.to_str()).ok_or_else(error)?.parse()
    }

    /// The file's name in a module image.
    pub(crate) fn module_file(&self) -> String {
        format!("{}{}", self.0, spec::WASM_ENTRY_SUFFIXES[0])
    }

    /// The file's name in an image of a binary.
    pub(crate) fn native_file(&self) -> Result<String, SettingError> {
        if spec::WASM_ENTRY_SUFFIXES.iter().any(|suffix| self.0.ends_with(suffix)) {
            return Err(SettingError::LooksLikeModule(self.0.clone()));
        }
        Ok(self.0.clone())
    }
}

impl FromStr for EntryName {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let name = text.strip_suffix(spec::WASM_ENTRY_SUFFIXES[0]).unwrap_or(text);
        let good = name.len() <= MAX_ENTRY_NAME
            && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if good { Ok(Self(name.to_owned())) } else { Err(SettingError::EntryName(text.to_owned())) }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Nobody: an image does not run as root unless its author says so.
impl Default for User {
    fn default() -> Self {
        const NOBODY: u32 = 65532;
        Self { uid: NOBODY, gid: Some(NOBODY) }
    }
}

impl FromStr for User {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        // The kernel's "no id", 2^32 - 1, is not one.
        let id = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|id| digits && *id != u32::MAX)
        };
        let user = match text.split_once(':') {
            Some((uid, gid)) => id(uid).zip(id(gid)).map(|(uid, gid)| Self { uid, gid: Some(gid) }),
            None => id(text).map(|uid| Self { uid, gid: None }),
        };
        user.ok_or_else(|| SettingError::User(text.to_owned()))
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uid)?;
        match self.gid {
            Some(gid) => write!(f, ":{gid}"),
            None => Ok(()),
        }
    }
}

impl KeyValue {
    /// What stands before the first `=`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What stands after it.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl FromStr for KeyValue {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() && !text.contains('\0') => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err(SettingError::KeyValue(text.to_owned())),
        }
    }
}

impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(
            EntryName::of_file(Path::new("a/debug-echo.wasm")).unwrap().module_file(),
            "debug-echo.wasm"
        );
        assert_eq!("akri-proxy".parse::<EntryName>().unwrap().native_file().unwrap(), "akri-proxy");
        assert!("x.wat".parse::<EntryName>().unwrap().native_file().is_err());
        for text in ["", ".", "..", ".wasm", "a/b", "-a", "a b", "é", &"a".repeat(81)] {
            assert!(text.parse::<EntryName>().is_err(), "{text}");
        }
    }

    #[test]
    fn users() {
        for text in ["0", "65532:65532"] {
            assert_eq!(text.parse::<User>().unwrap().to_string(), text);
        }
        for text in ["", "root", "1:", ":1", "-1", "+1", "4294967295", "1:2:3"] {
            assert!(text.parse::<User>().is_err(), "{text}");
        }
    }

    #[test]
    fn pairs() {
        let pair: KeyValue = "a=b=c".parse().unwrap();
        assert_eq!((pair.key(), pair.value()), ("a", "b=c"));
        for text in ["", "a", "=a", "a=\0"] {
            assert!(text.parse::<KeyValue>().is_err(), "{text}");
        }
    }
}
