//! One file of containerd's configuration, parsed.

use std::collections::BTreeMap;

use toml_edit::{Document as Parsed, Item, TableLike};

use super::RuntimeTable;
use crate::spec;

/// The version of a configuration's form. Versions 2, 3 and 4 are in use; 1 ended with containerd 1.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct ConfigVersion(u8);

/// Why a configuration cannot be worked with. It is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Bytes that are no text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Not TOML.
    #[error("it is no valid TOML: {}", .0.trim().replace('\n', " / ").escape_debug())]
    Toml(String),
    /// The oldest form, or none that is known.
    #[error(
        "its version is {0}: versions 2 to 4 are known; `containerd config migrate` brings an older one up to date"
    )]
    Version(i64),
    /// `disabled_plugins` names the CRI, as Docker's package does.
    #[error("it disables the CRI: take {0:?} out of disabled_plugins, for no kubelet can run on it")]
    CriDisabled(String),
    /// Tables in braces take no further table.
    #[error("{0} is written in braces or dotted keys, which take no further table: write it as [tables]")]
    Closed(String),
}

/// A parsed configuration.
#[derive(Clone, Debug)]
pub struct Document {
    parsed: Parsed<String>,
    version: Option<ConfigVersion>,
}

impl ConfigVersion {
    /// What containerd 1.x reads.
    pub const TWO: Self = Self(2);
    /// What containerd 2.x reads.
    pub const THREE: Self = Self(3);

    /// The CRI plug-in's table that has the runtimes.
    pub fn cri_plugin(self) -> &'static str {
        if self.0 <= 2 { spec::CRI_PLUGIN_V2 } else { spec::CRI_PLUGIN_V3 }
    }

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl Document {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// Where containerd could not read them either, or they are of a version that is not known.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ConfigError::NotText)?;
        let parsed = Parsed::parse(text.to_owned()).map_err(|error| ConfigError::Toml(error.to_string()))?;
        let version = match parsed.get("version").and_then(Item::as_integer) {
            Some(number @ 2..=4) => Some(ConfigVersion(u8::try_from(number).unwrap_or_default())),
            Some(number) => return Err(ConfigError::Version(number)),
            // A file that says nothing has no version yet.
            None if parsed.is_empty() => None,
            None => {
                // Docker's package has this file; that CRI is disabled there is the first thing to know.
                Self { parsed: parsed.clone(), version: None }.check_cri()?;
                return Err(ConfigError::Version(1));
            }
        };
        Ok(Self { parsed, version })
    }

    /// The version; `None` for a file that says nothing.
    pub fn version(&self) -> Option<ConfigVersion> {
        self.version
    }

    /// The imported files and patterns, as written.
    pub fn imports(&self) -> Vec<String> {
        words(self.parsed.get("imports"))
    }

    /// An error where the CRI is disabled.
    ///
    /// # Errors
    /// Then.
    pub fn check_cri(&self) -> Result<(), ConfigError> {
        let ours = ["cri", spec::CRI_PLUGIN_V2, spec::CRI_PLUGIN_V3];
        match words(self.parsed.get("disabled_plugins")).into_iter().find(|name| ours.contains(&&**name)) {
            Some(name) => Err(ConfigError::CriDisabled(name)),
            None => Ok(()),
        }
    }

    /// Whether this file has a table of the CRI plug-in: with containerd 1.x it then replaces that of files before.
    pub fn has_cri(&self) -> bool {
        self.cri().is_some()
    }

    /// The runtimes that this file declares.
    pub fn runtimes(&self) -> BTreeMap<String, RuntimeTable> {
        let tables = self.cri().and_then(|cri| cri.get("containerd")).and_then(|of| of.get("runtimes"));
        let tables = tables.and_then(Item::as_table_like);
        tables
            .into_iter()
            .flat_map(TableLike::iter)
            .filter_map(|(name, item)| Some((name.to_owned(), RuntimeTable::read(item.as_table_like()?))))
            .collect()
    }

    /// The sandbox image that this file names.
    pub fn sandbox_image(&self) -> Option<String> {
        let plugins = self.parsed.get("plugins")?;
        let image = match self.version?.number() {
            2 => plugins.get(spec::CRI_PLUGIN_V2)?.get("sandbox_image")?,
            _ => plugins.get(spec::IMAGES_PLUGIN_V3)?.get("pinned_images")?.get("sandbox")?,
        };
        image.as_str().map(str::to_owned)
    }

    /// Whether tables can follow in this file: none on the way to the runtimes is written in braces.
    ///
    /// # Errors
    /// Where one is.
    pub fn check_open(&self, version: ConfigVersion) -> Result<(), ConfigError> {
        let mut item = Some(self.parsed.as_item());
        let mut path = String::new();
        for key in ["plugins", version.cri_plugin(), "containerd", "runtimes"] {
            item = item.and_then(|item| item.get(key));
            path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key:?}") };
            if item.is_some_and(|item| item.as_table().is_none_or(toml_edit::Table::is_dotted)) {
                return Err(ConfigError::Closed(path));
            }
        }
        Ok(())
    }

    pub(super) fn item(&self) -> &Item {
        self.parsed.as_item()
    }

    fn cri(&self) -> Option<&Item> {
        self.parsed.get("plugins")?.get(self.version?.cri_plugin())
    }
}

fn words(item: Option<&Item>) -> Vec<String> {
    let array = item.and_then(Item::as_array);
    array.into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> ConfigError {
        Document::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn versions() {
        for version in 2..=4 {
            let document = Document::parse(format!("version = {version}").as_bytes()).unwrap();
            assert_eq!(document.version().unwrap().number(), version);
        }
        assert_eq!(Document::parse(b"# nothing\n").unwrap().version(), None);
        assert!(matches!(refused("version = 1"), ConfigError::Version(1)));
        assert!(matches!(refused("root = \"/x\""), ConfigError::Version(1)));
        assert!(matches!(refused("version = 99"), ConfigError::Version(99)));
        assert!(matches!(refused("disabled_plugins = [\"cri\"]"), ConfigError::CriDisabled(_)));
        assert!(matches!(refused("version = \n"), ConfigError::Toml(_)));
        assert!(matches!(Document::parse(b"\xff").unwrap_err(), ConfigError::NotText));
    }

    #[test]
    fn braces_are_seen() {
        let version = ConfigVersion::TWO;
        let check = |text: &str| Document::parse(text.as_bytes()).unwrap().check_open(version);
        check("version = 2\n[plugins]\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\n").unwrap();
        check("version = 2\nplugins.x.y = 1\n").unwrap_err();
        check("version = 2\n[plugins]\n\"io.containerd.grpc.v1.cri\" = { sandbox_image = \"x\" }\n")
            .unwrap_err();
    }
}
