//! What containerd makes of its configuration: the output of `containerd config dump`, compared by meaning.

use std::collections::BTreeMap;

use toml_edit::{Item, Table, Value};

use super::runtime::says_something;
use super::{ConfigError, ConfigVersion, Document, RuntimeTable};

/// All of the configuration, defaults included.
#[derive(Clone, Debug)]
pub struct Effective {
    document: Document,
}

impl Effective {
    /// Reads the output of `containerd config dump`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Ok(Self { document: Document::parse(text.as_bytes())? })
    }

    /// The runtimes, the implicit ones, too.
    pub fn runtimes(&self) -> BTreeMap<String, RuntimeTable> {
        self.document.runtimes()
    }

    /// The form that containerd itself uses.
    pub fn version(&self) -> Option<ConfigVersion> {
        self.document.version()
    }

    /// What holds a pod's namespaces.
    pub fn sandbox_image(&self) -> Option<String> {
        self.document.sandbox_image()
    }

    /// The path of the first thing that differs from `other`, this runtime and the list of files left aside.
    pub fn difference(&self, other: &Self, but: &str) -> Option<String> {
        let plugin = self.document.version().map_or("", ConfigVersion::cri_plugin);
        let ignored = [vec!["imports"], vec!["plugins", plugin, "containerd", "runtimes", but]];
        difference(self.document.item(), other.document.item(), &mut Vec::new(), &ignored)
    }
}

fn difference(one: &Item, other: &Item, path: &mut Vec<String>, ignored: &[Vec<&str>]) -> Option<String> {
    if ignored.iter().any(|ignored| ignored.iter().eq(path.iter())) {
        return None;
    }
    match (one.as_table_like(), other.as_table_like()) {
        (Some(left), Some(right)) => {
            let keys: std::collections::BTreeSet<&str> =
                left.iter().map(|(key, _)| key).chain(right.iter().map(|(key, _)| key)).collect();
            keys.into_iter().find_map(|key| {
                path.push(key.to_owned());
                let none = Item::None;
                let found = difference(
                    left.get(key).unwrap_or(&none),
                    right.get(key).unwrap_or(&none),
                    path,
                    ignored,
                );
                path.pop();
                found
            })
        }
        _ if same(one, other) => None,
        // A table that is left out beside one that says nothing.
        (Some(table), None) | (None, Some(table)) if one.is_none() || other.is_none() => {
            table.iter().find_map(|(key, item)| {
                path.push(key.to_owned());
                let found = difference(item, &Item::None, path, ignored);
                path.pop();
                found
            })
        }
        _ => Some(path.join(".")),
    }
}

fn same(one: &Item, other: &Item) -> bool {
    match (one, other) {
        (Item::None, Item::None) => true,
        // What is left out is what containerd's own language makes of it: nothing, zero, false.
        (Item::None, Item::Value(value)) | (Item::Value(value), Item::None) => !says_something(value),
        (Item::Value(one), Item::Value(other)) => same_value(one, other),
        (Item::ArrayOfTables(one), Item::ArrayOfTables(other)) => {
            let pairs = || one.iter().zip(other.iter());
            let differs = |(one, other): (&Table, &Table)| {
                let items = (Item::Table(one.clone()), Item::Table(other.clone()));
                difference(&items.0, &items.1, &mut Vec::new(), &[]).is_some()
            };
            one.len() == other.len() && !pairs().any(differs)
        }
        _ => false,
    }
}

fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.value() == other.value(),
        (Value::Integer(one), Value::Integer(other)) => one.value() == other.value(),
        (Value::Boolean(one), Value::Boolean(other)) => one.value() == other.value(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
        }
        (one, other) => one.to_string().trim() == other.to_string().trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"
version = 2
imports = ["/etc/containerd/config.toml"]
[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "pause"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"#;

    fn difference(text: &str) -> Option<String> {
        let before = Effective::parse(BEFORE).unwrap();
        before.difference(&Effective::parse(text).unwrap(), "crun-wasmedge")
    }

    #[test]
    fn ours_is_left_aside_and_everything_else_counts() {
        let ours =
            "[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.crun-wasmedge]\nruntime_type = 'x'\n";
        assert_eq!(difference(&format!("{BEFORE}{ours}")), None);
        assert_eq!(difference(&BEFORE.replace("SystemdCgroup = false", "")), None);
        assert_eq!(difference(&BEFORE.replace("\"/etc", "\"/other").replace("false", " false # same")), None);
        let array = |word: &str| format!("{BEFORE}[[plugins.x.y]]\nplatform = \"{word}\"\n");
        let one = Effective::parse(&array("a")).unwrap();
        assert_eq!(one.difference(&one.clone(), ""), None);
        assert!(one.difference(&Effective::parse(&array("b")).unwrap(), "").is_some());
        let lost = BEFORE.replace("runtimes.runc", "runtimes.crun-wasmedge");
        assert!(difference(&lost).unwrap().contains("containerd.runtimes.runc."));
        let changed = difference(&BEFORE.replace("pause", "other")).unwrap();
        assert_eq!(changed, "plugins.io.containerd.grpc.v1.cri.sandbox_image");
    }
}
