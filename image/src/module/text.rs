//! A report on a binary for people, a line for each thing, without a head: who prints it says whose it is.

use std::fmt::{self, Display, Formatter};

use super::{BinaryKind, ModuleReport};
use crate::print::Clean;

/// Most names in one line.
const MAX_LISTED: usize = 60;

impl Display for ModuleReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        line(f, "size", format_args!("{} bytes", self.size))?;
        line(f, "digest", &self.digest)?;
        match (self.kind, &self.invalid, self.command) {
            (BinaryKind::Component, ..) => line(f, "kind", "a component (WASI 0.2 or later)")?,
            (_, Some(reason), _) => line(f, "invalid", Clean(reason))?,
            (_, None, Some(command)) => line(f, "command", command.reason())?,
            (_, None, None) => {}
        }
        for (module, imports) in &self.imports {
            let names = imports.iter().map(|import| import.name.as_str());
            line(f, "imports", format_args!("{}: {}", Clean(module), Names::of(names, " ")))?;
        }
        if !self.exports.is_empty() {
            let exports: Vec<_> =
                self.exports.iter().map(|export| format!("{} ({})", export.name, export.kind)).collect();
            line(f, "exports", Names::of(exports.iter().map(String::as_str), ", "))?;
        }
        if self.left_off > 0 {
            line(f, "names", format_args!("{} more are not listed", self.left_off))?;
        }
        for memory in &self.memories {
            let most = memory.max_pages.map_or("no limit".to_owned(), |most| format!("up to {most}"));
            let pages = if memory.min_pages == 1 { "page" } else { "pages" };
            let mut text = format!("{} {pages} of {} bytes, {most}", memory.min_pages, memory.page_size);
            for (is, what) in
                [(memory.memory64, "64-bit"), (memory.shared, "shared"), (memory.imported, "imported")]
            {
                if is {
                    text = format!("{text}, {what}");
                }
            }
            line(f, "memory", text)?;
        }
        for table in &self.tables {
            let most = table.max.map_or("no limit".to_owned(), |most| format!("up to {most}"));
            let imported = if table.imported { ", imported" } else { "" };
            line(f, "table", format_args!("{} of {}, {most}{imported}", table.min, Clean(&table.element)))?;
        }
        if !self.custom_sections.is_empty() {
            let sections: Vec<_> = self
                .custom_sections
                .iter()
                .map(|section| format!("{} ({} bytes)", section.name, section.size))
                .collect();
            line(f, "custom", Names::of(sections.iter().map(String::as_str), ", "))?;
        }
        for (field, values) in &self.producers {
            let values = Names::of(values.iter().map(String::as_str), ", ");
            line(f, "producers", format_args!("{}: {values}", Clean(field)))?;
        }
        for aot in &self.aot {
            line(f, "aot", aot)?;
        }
        match &self.features {
            Some(features) if features.is_empty() => line(f, "features", "none beyond the first version"),
            Some(features) => {
                let words: Vec<_> = features.iter().map(ToString::to_string).collect();
                line(f, "features", words.join(" "))
            }
            None => Ok(()),
        }
    }
}

fn line(f: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "  {name:<10} {value}")
}

/// Strangers' names, escaped, and no more than a reader can bear.
struct Names<'a> {
    names: Vec<&'a str>,
    more: usize,
    between: &'static str,
}

impl<'a> Names<'a> {
    fn of(names: impl Iterator<Item = &'a str>, between: &'static str) -> Self {
        let mut names: Vec<_> = names.collect();
        let more = names.len().saturating_sub(MAX_LISTED);
        names.truncate(MAX_LISTED);
        Self { names, more, between }
    }
}

impl Display for Names<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (number, name) in self.names.iter().enumerate() {
            let between = if number == 0 { "" } else { self.between };
            write!(f, "{between}{}", Clean(name))?;
        }
        if self.more > 0 { write!(f, "{}and {} more", self.between, self.more) } else { Ok(()) }
    }
}
