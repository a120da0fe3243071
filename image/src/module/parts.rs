//! What a module is made of, as a report tells it.

use std::fmt;

/// The kinds of what is imported and exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the specification's own words")]
pub enum ExternKind {
    Function,
    Table,
    Memory,
    Global,
    Tag,
}

impl fmt::Display for ExternKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The same word as in JSON.
        serde::Serialize::serialize(self, f)
    }
}

/// An import.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Import {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ExternKind,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ExternKind,
}

/// A memory.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// Pages that it begins with.
    pub min_pages: u64,
    /// Pages that it may grow to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pages: Option<u64>,
    /// Bytes of a page.
    pub page_size: u64,
    /// Whether its addresses have 64 bits.
    pub memory64: bool,
    /// Whether threads may share it.
    pub shared: bool,
    /// Whether another one provides it.
    pub imported: bool,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Table {
    /// What it holds, such as `funcref`.
    pub element: String,
    /// Elements that it begins with.
    pub min: u64,
    /// Elements that it may grow to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Whether another one provides it.
    pub imported: bool,
}

/// A custom section.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CustomSection {
    /// Its name.
    pub name: String,
    /// The length of its content in bytes.
    pub size: u64,
}
