//! A policy as a file. YAML, because a ConfigMap is written in it and its errors come with line and column; and so JSON,
//! which is YAML too.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use akri_exchange::limits;
use thiserror::Error;

use super::Policy;

/// Bytes of a policy: a person wrote it.
const MOST_BYTES: u64 = 64 * 1024;
/// Entries of each of its lists: every path of every answer is held against them.
const MOST_RULES: usize = 256;

/// Why a policy cannot be had from a file.
#[derive(Debug, Error)]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error("cannot read the policy {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is larger than any policy.
    #[error("the policy {path} is larger than {MOST_BYTES} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It says something that is no policy.
    #[error("the policy {path} is wrong")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Which field, in which line and column, and why.
        source: serde_yaml_ng::Error,
    },
    /// It says nothing, which is more likely a mistake than a wish.
    #[error("the policy {path} is empty: write {{}} for what holds without one")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// One of its fields has more than there may be.
    #[error("the policy {path} is wrong: {field}: {found} is more than {most}")]
    TooMuch {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// How much it says, or how many entries it has.
        found: usize,
        /// How much may be.
        most: usize,
    },
}

impl Policy {
    /// Reads a policy, whole. Links are followed: who places a policy is trusted, and a ConfigMap is links.
    ///
    /// # Errors
    /// Names the file, the field, and its line where there is one.
    pub fn read(path: &Path) -> Result<Self, PolicyFileError> {
        let failed = |source| PolicyFileError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(PolicyFileError::TooLarge { path: path.to_owned() });
        }
        Self::parse(&bytes, path)
    }

    /// The same of a file's bytes; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`read`](Self::read)'s.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, PolicyFileError> {
        let wrong = |source| PolicyFileError::Wrong { path: path.to_owned(), source };
        let said: Option<Self> = serde_yaml_ng::from_slice(bytes).map_err(wrong)?;
        let policy = said.ok_or_else(|| PolicyFileError::Empty { path: path.to_owned() })?;
        for (field, found, most) in [
            ("deviceNodes", policy.device_nodes.len(), MOST_RULES),
            ("mounts", policy.mounts.len(), MOST_RULES),
            ("propertyNames", policy.property_names.len(), MOST_RULES),
            ("maxDevices", policy.max_devices, limits::DEVICES),
        ] {
            if found > most {
                return Err(PolicyFileError::TooMuch { path: path.to_owned(), field, found, most });
            }
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy, String> {
        Policy::parse(text.as_bytes(), Path::new("p.yaml"))
            .map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    }

    #[test]
    fn what_is_not_said_is_as_without_a_file() {
        assert_eq!(parse("{}").unwrap(), Policy::default());
        let policy = parse("deviceNodes: []\nmaxDevices: 7").unwrap();
        assert_eq!((policy.device_nodes.len(), policy.max_devices), (0, 7));
        assert_eq!(policy.property_names, Policy::default().property_names);
    }

    #[test]
    fn yaml_and_json_say_the_same_and_what_is_shown_can_be_read_again() {
        let yaml = "deviceNodes:\n- path: /dev/video*\n  permissions: rw\nmounts:\n- path: /srv/**\n  access: read-write\n";
        let json = r#"{"deviceNodes":[{"path":"/dev/video*","permissions":"rw"}],"mounts":[{"path":"/srv/**","access":"read-write"}]}"#;
        let policy = parse(yaml).unwrap();
        assert_eq!(policy, parse(json).unwrap());
        assert_eq!(policy, parse(&serde_json::to_string(&policy).unwrap()).unwrap());
    }

    #[test]
    fn errors_name_file_field_and_line() {
        let many = format!("mounts: [{}]", "{path: /a},".repeat(300));
        for (text, expected) in [
            (
                "deviceNodes:\n- path: dev/x\n",
                &["p.yaml", "deviceNodes[0].path", "not absolute", "line 2"][..],
            ),
            ("deviceNodes:\n- path: /dev/x\n  permissions: rx\n", &["deviceNodes[0].permissions", "line 3"]),
            ("mounts:\n- path: /srv\n  access: all\n", &["mounts[0].access", "read-only", "line 3"]),
            ("mounts:\n- access: read-only\n", &["mounts[0]", "path", "line 2"]),
            ("maxDevices: many\n", &["maxDevices", "line 1"]),
            ("maxDevices: -1\n", &["maxDevices", "line 1"]),
            ("maxDevices: 10001\n", &["maxDevices", "10000"]),
            ("propertyNames:\n- ok\n- a=b\n", &["propertyNames[1]", "line 3"]),
            ("devices: []\n", &["unknown field `devices`", "deviceNodes"]),
            ("mounts: []\nmounts: []\n", &["duplicate", "mounts"]),
            ("mounts: [\n", &["line"]),
            ("# nothing\n", &["p.yaml", "empty", "{}"]),
            (&many, &["mounts", "300", "256"]),
        ] {
            let error = parse(text).unwrap_err();
            for part in expected {
                assert!(error.contains(part), "{part:?} is not in {error:?} for {text:?}");
            }
        }
    }

    #[test]
    fn what_is_no_file_of_a_persons_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        assert!(matches!(Policy::read(&path), Err(PolicyFileError::Read { .. })));
        std::fs::write(&path, vec![b' '; MOST_BYTES as usize + 1]).unwrap();
        assert!(matches!(Policy::read(&path), Err(PolicyFileError::TooLarge { .. })));
        std::fs::write(&path, "{}").unwrap();
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert_eq!(Policy::read(&folder.path().join("link")).unwrap(), Policy::default());
    }
}
