//! Which crates cargo links into a program: `cargo tree` with the target's normal dependencies, without what only runs while
//! it is built (build scripts, procedural macros, and all beneath them).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::{Program, SbomError, run};

/// What `cargo tree` prints of each crate, behind its depth: name, version and place; licence.
const FORMAT: &str = "{p}|{l}";

/// Where a crate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// crates.io, the only registry that is allowed (deny.toml).
    Registry,
    /// The workspace itself.
    Workspace,
}

/// A crate, by name and version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from.
    pub source: Source,
    /// An SPDX expression, if it says one.
    pub license: Option<String>,
}

/// A program's crates.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The program's own.
    pub root: Crate,
    /// What each crate depends on, the root among them.
    pub dependencies: BTreeMap<Crate, BTreeSet<Crate>>,
}

impl Tree {
    pub(crate) fn of(workspace: &Path, program: &Program) -> Result<Self, SbomError> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(workspace).args(["tree", "--locked", "--color", "never", "--charset", "ascii"]);
        command.args(["--prefix", "depth", "--edges", "normal,no-proc-macro", "--format", FORMAT]);
        command.args(["--target", &program.target]);
        for package in [&program.package].into_iter().chain(&program.built_with) {
            command.args(["--package", package]);
        }
        Self::read(&run(&mut command)?, &program.package)
    }

    /// From what cargo printed. A crate that was printed before comes without what is below it.
    fn read(text: &str, package: &str) -> Result<Self, SbomError> {
        let mut edges: BTreeMap<Crate, BTreeSet<Crate>> = BTreeMap::new();
        let mut path: Vec<Crate> = Vec::new();
        let mut root = None;
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (depth, found) = read_line(line).ok_or_else(|| SbomError::Line(line.to_owned()))?;
            if depth > path.len() {
                return Err(SbomError::Line(line.to_owned()));
            }
            path.truncate(depth);
            match path.last() {
                Some(parent) => drop(edges.entry(parent.clone()).or_default().insert(found.clone())),
                None if found.name == package => root = Some(found.clone()),
                None => {}
            }
            edges.entry(found.clone()).or_default();
            path.push(found);
        }
        let root = root.ok_or_else(|| SbomError::NoRoot(package.to_owned()))?;
        // Of several programs that were built together, what is below this one.
        let mut dependencies = BTreeMap::new();
        let mut left = vec![root.clone()];
        while let Some(next) = left.pop() {
            if dependencies.contains_key(&next) {
                continue;
            }
            let below = edges.get(&next).cloned().unwrap_or_default();
            left.extend(below.iter().cloned());
            dependencies.insert(next, below);
        }
        Ok(Self { root, dependencies })
    }

    /// Whether `NAME-VERSION` is one of them.
    pub(crate) fn has(&self, name_and_version: &str) -> bool {
        self.dependencies.keys().any(|known| {
            name_and_version.strip_prefix(&known.name).and_then(|rest| rest.strip_prefix('-'))
                == Some(&known.version)
        })
    }
}

/// `3serde_core v1.0.0|MIT OR Apache-2.0`, and behind it ` (*)` where it was printed before.
fn read_line(line: &str) -> Option<(usize, Crate)> {
    let digits = line.find(|c: char| !c.is_ascii_digit())?;
    let depth = line[..digits].parse().ok()?;
    let line = line.strip_suffix(" (*)").unwrap_or(line);
    let (package, license) = line[digits..].split_once('|')?;
    let mut words = package.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let source = if words.next().is_some_and(|place| place.starts_with("(/")) {
        Source::Workspace
    } else {
        Source::Registry
    };
    // As it was written before SPDX expressions were.
    let license = license.trim().replace('/', " OR ");
    let license = (!license.is_empty()).then_some(license);
    Some((depth, Crate { name: name.to_owned(), version: version.to_owned(), source, license }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
0a v0.1.0 (/w/a)|Apache-2.0
1b v1.0.0|MIT/Apache-2.0
2c v2.0.0+x|
1d v3.0.0|MIT

0e v0.1.0 (/w/e)|Apache-2.0
1d v3.0.0|MIT (*)
1f v4.0.0|MIT
";

    #[test]
    fn only_what_is_below_the_program_counts() {
        let tree = Tree::read(TEXT, "a").unwrap();
        let names: Vec<&str> = tree.dependencies.keys().map(|known| known.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert_eq!(tree.root.source, Source::Workspace);
        let below = |name: &str| {
            let (_, below) = tree.dependencies.iter().find(|(known, _)| known.name == name).unwrap();
            below.iter().map(|known| known.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!((below("a"), below("b")), (vec!["b", "d"], vec!["c"]));
        let licenses: Vec<_> = tree.dependencies.keys().map(|known| known.license.as_deref()).collect();
        assert_eq!(licenses, [Some("Apache-2.0"), Some("MIT OR Apache-2.0"), None, Some("MIT")]);
        assert!(tree.has("c-2.0.0+x") && !tree.has("c-2.0.0") && !tree.has("f-4.0.0"));
        assert_eq!(Tree::read(TEXT, "e").unwrap().dependencies.len(), 3);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(matches!(Tree::read(TEXT, "x"), Err(SbomError::NoRoot(_))));
        for text in ["a v1|", "0a|MIT", "0a 1|", "0a v1", "1a v1|", "0a v1|\n2b v1|"] {
            assert!(matches!(Tree::read(text, "a"), Err(SbomError::Line(_))), "{text}");
        }
    }
}
