//! The checksums of crates, from Cargo.lock.

use std::collections::BTreeMap;
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table};

use crate::SbomError;

/// SHA-256 of each crate that comes from a registry, by name and version.
pub(crate) fn checksums(path: &Path) -> Result<BTreeMap<(String, String), String>, SbomError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| SbomError::Read { path: path.to_owned(), source })?;
    let lock: DocumentMut =
        text.parse().map_err(|source| SbomError::Lock { path: path.to_owned(), source })?;
    let packages = lock.get("package").and_then(Item::as_array_of_tables);
    let text = |table: &Table, key: &str| table.get(key).and_then(Item::as_str).map(str::to_owned);
    let checksum =
        |table: &Table| Some(((text(table, "name")?, text(table, "version")?), text(table, "checksum")?));
    Ok(packages.into_iter().flatten().filter_map(checksum).collect())
}
