//! What a program says of itself: the messages of its panics name source files, and so crates, and the compiler's commit.

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::SbomError;

/// Begins the folder's name in which cargo unpacks crates.io's crates; a hash of the registry follows.
const REGISTRY: &[u8] = b"index.crates.io-";
/// Where the standard library's sources were when rustup's compiler was built; a commit follows.
const RUST: &[u8] = b"/rustc/";
/// The digits of a commit.
const COMMIT: usize = 40;
/// The same in Debian's compiler; a version follows.
const DEBIAN_RUST: &[u8] = b"/usr/src/rustc-";
/// Most bytes of a crate's name and version that are looked at.
const MAX_NAME: usize = 160;

/// What was found in a program.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    /// The program's own digest.
    pub sha256: String,
    /// `NAME-VERSION`
    pub crates: BTreeSet<String>,
    /// The standard library's, if the program says it.
    pub std: Option<Std>,
}

/// Which standard library it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Std {
    /// By the commit of its sources.
    Commit(String),
    /// By its version.
    Version(String),
}

impl Evidence {
    pub(crate) fn of(binary: &Path) -> Result<Self, SbomError> {
        let bytes =
            std::fs::read(binary).map_err(|source| SbomError::Read { path: binary.to_owned(), source })?;
        Ok(Self { sha256: hex(&Sha256::digest(&bytes)), crates: crates(&bytes), std: std_of(&bytes) })
    }
}

fn crates(bytes: &[u8]) -> BTreeSet<String> {
    let name = |rest: &[u8]| {
        let rest = after(rest, b'/')?;
        let end = rest.iter().take(MAX_NAME).position(|byte| *byte == b'/')?;
        let name = std::str::from_utf8(&rest[..end]).ok()?;
        // A message that only speaks of such a folder has no crate behind it.
        let is_one = name.contains('-')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte));
        is_one.then(|| name.to_owned())
    };
    behind(bytes, REGISTRY).filter_map(name).collect()
}

fn std_of(bytes: &[u8]) -> Option<Std> {
    let word = |rest: &[u8]| {
        let end = rest.iter().take(MAX_NAME).position(|byte| *byte == b'/')?;
        std::str::from_utf8(&rest[..end]).ok().map(str::to_owned)
    };
    let commits = behind(bytes, RUST).filter_map(word);
    let mut commits =
        commits.filter(|word| word.len() == COMMIT && word.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let mut versions = behind(bytes, DEBIAN_RUST).filter_map(word);
    commits.next().map(Std::Commit).or_else(|| versions.next().map(Std::Version))
}

/// What stands behind each `mark`.
fn behind<'a>(bytes: &'a [u8], mark: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    bytes
        .windows(mark.len())
        .enumerate()
        .filter(move |(_, found)| *found == mark)
        .map(move |(at, _)| &bytes[at + mark.len()..])
}

fn after(bytes: &[u8], mark: u8) -> Option<&[u8]> {
    let at = bytes.iter().take(MAX_NAME).position(|byte| *byte == mark)?;
    Some(&bytes[at + 1..])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_and_compiler_are_found_wherever_they_stand() {
        let bytes =
            b"\0/index.crates.io-1949/serde_core-1.0.229/src/de.rs\0x/index.crates.io-1949/a-b-2.0.0+x/b.rs\
            index.crates.io-/no crate/ index.crates.io-";
        let found: Vec<String> = crates(bytes).into_iter().collect();
        assert_eq!(found, ["a-b-2.0.0+x", "serde_core-1.0.229"]);
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let text = format!("/rustc/x/library /rustc/{commit}/library/core/src/lib.rs");
        assert_eq!(std_of(text.as_bytes()), Some(Std::Commit(commit.to_owned())));
        assert_eq!(std_of(b"/usr/src/rustc-1.85.0/library/"), Some(Std::Version("1.85.0".to_owned())));
        assert_eq!(std_of(b"/rustc/"), None);
    }
}
