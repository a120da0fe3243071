//! The distribution and the processor.

use std::collections::BTreeMap;
use std::path::Path;

use crate::system::Tree;

/// <https://www.freedesktop.org/software/systemd/man/latest/os-release.html>
const FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// What os-release says.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Os {
    /// `debian`
    pub id: String,
    /// What it derives from: `["debian"]` for Ubuntu.
    pub like: Vec<String>,
    /// `13`; empty for Debian testing.
    pub version: String,
    /// `trixie`
    pub codename: String,
    /// For people.
    pub name: String,
}

/// Who installs packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageManager {
    /// Debian, Ubuntu and what derives from them.
    Apt,
    /// Fedora and what derives from it.
    Dnf,
}

/// The processor's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// x86-64
    Amd64,
    /// 64-bit ARM
    Arm64,
    /// One for which the engine is not packaged.
    Other,
}

impl Os {
    pub(super) fn read(tree: &Tree) -> Self {
        FILES
            .iter()
            .find_map(|path| tree.text(Path::new(path)))
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let mut fields: BTreeMap<&str, String> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim().trim_matches(['"', '\'']).to_owned()))
            .collect();
        let mut take = |key| fields.remove(key).unwrap_or_default();
        Self {
            like: take("ID_LIKE").split_whitespace().map(str::to_owned).collect(),
            id: take("ID"),
            version: take("VERSION_ID"),
            codename: take("VERSION_CODENAME"),
            name: take("PRETTY_NAME"),
        }
    }

    /// Whether it is, or derives from, that distribution.
    pub fn is(&self, id: &str) -> bool {
        self.id == id || self.like.iter().any(|like| like == id)
    }

    /// Who installs packages here, if that is known.
    pub fn package_manager(&self) -> Option<PackageManager> {
        if self.is("debian") || self.is("ubuntu") {
            Some(PackageManager::Apt)
        } else if self.is("fedora") || self.is("rhel") {
            Some(PackageManager::Dnf)
        } else {
            None
        }
    }

    /// The number before the dot, where the version has one.
    pub fn major(&self) -> Option<u32> {
        self.version.split('.').next()?.parse().ok()
    }
}

/// The mirror of the first Debian source: the first whose folder has the name that mirrors have, else the first.
pub(super) fn apt_mirror(tree: &Tree) -> Option<String> {
    let folder = Path::new("/etc/apt/sources.list.d");
    let mut texts: Vec<String> = tree.text(Path::new("/etc/apt/sources.list")).into_iter().collect();
    for name in tree.list(folder).unwrap_or_default() {
        let path = folder.join(&name);
        if (name.ends_with(".list") || name.ends_with(".sources"))
            && path != Path::new(crate::spec::APT_SOURCE)
        {
            texts.extend(tree.text(&path));
        }
    }
    let line = |line: &str| {
        let line = line.trim();
        let rest = line.strip_prefix("deb ").or_else(|| line.strip_prefix("URIs:"))?;
        let uri = |word: &&str| word.starts_with("http://") || word.starts_with("https://");
        rest.split_whitespace().find(uri).filter(|uri| !uri.contains("security")).map(str::to_owned)
    };
    let mirrors: Vec<String> = texts.iter().flat_map(|text| text.lines()).filter_map(line).collect();
    let usual = mirrors.iter().find(|uri| uri.trim_end_matches('/').ends_with("/debian"));
    usual.or(mirrors.first()).cloned()
}

impl Arch {
    /// What this program was built for: it runs on the node, or on a machine like it.
    pub fn own() -> Self {
        match std::env::consts::ARCH {
            "x86_64" => Self::Amd64,
            "aarch64" => Self::Arm64,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_os_release() {
        let debian = Os::parse("ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n");
        assert_eq!((debian.major(), debian.package_manager()), (Some(13), Some(PackageManager::Apt)));
        let testing = Os::parse("PRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nID=debian\n");
        assert_eq!((testing.major(), &*testing.name), (None, "Debian GNU/Linux forky/sid"));
        let ubuntu = Os::parse("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"25.04\"\n");
        assert!(ubuntu.is("debian") && ubuntu.major() == Some(25));
        assert_eq!(
            Os::parse("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"").package_manager(),
            Some(PackageManager::Dnf)
        );
        assert_eq!(Os::parse("ID=alpine").package_manager(), None);
    }
}
