//! A runtime's table: read, and written.

use std::fmt::Write;

use toml_edit::{Item, TableLike, Value};

use super::ConfigVersion;
use crate::cri::LiveRuntime;

/// A runtime as a file declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RuntimeTable {
    /// What containerd would load, as far as it matters here.
    #[serde(flatten)]
    pub runtime: LiveRuntime,
    /// Keys and values as TOML, those that say nothing left out; options apart.
    #[serde(skip)]
    entries: Vec<(String, String)>,
    #[serde(skip)]
    options: Vec<(String, String)>,
}

impl RuntimeTable {
    /// What crun with the engine needs.
    pub fn crun(binary: &str, base_spec: &str, systemd_cgroup: bool) -> Self {
        let runtime = LiveRuntime {
            runtime_type: crate::spec::RUNTIME_TYPE.to_owned(),
            binary: binary.to_owned(),
            systemd_cgroup,
            base_runtime_spec: base_spec.to_owned(),
            pod_annotations: vec![crate::spec::POD_ANNOTATIONS.to_owned()],
        };
        let annotations: toml_edit::Array = runtime.pod_annotations.iter().collect();
        Self {
            entries: vec![
                entry("runtime_type", Value::from(&runtime.runtime_type)),
                entry("base_runtime_spec", Value::from(base_spec)),
                entry("pod_annotations", Value::from(annotations)),
            ],
            options: vec![
                entry("BinaryName", Value::from(binary)),
                entry("SystemdCgroup", Value::from(systemd_cgroup)),
            ],
            runtime,
        }
    }

    /// The runc that containerd has where its configuration declares no runtime.
    pub fn implicit_runc() -> Self {
        let runtime_type = crate::spec::RUNTIME_TYPE;
        Self {
            runtime: LiveRuntime { runtime_type: runtime_type.to_owned(), ..LiveRuntime::default() },
            entries: vec![entry("runtime_type", Value::from(runtime_type))],
            options: Vec::new(),
        }
    }

    pub(super) fn read(table: &dyn TableLike) -> Self {
        let text = |table: &dyn TableLike, key| {
            table.get(key).and_then(Item::as_str).map(str::to_owned).unwrap_or_default()
        };
        let options = table.get("options").and_then(Item::as_table_like);
        let annotations = table.get("pod_annotations").and_then(Item::as_array);
        Self {
            runtime: LiveRuntime {
                runtime_type: text(table, "runtime_type"),
                base_runtime_spec: text(table, "base_runtime_spec"),
                binary: options.map(|options| text(options, "BinaryName")).unwrap_or_default(),
                systemd_cgroup: options
                    .and_then(|options| options.get("SystemdCgroup")?.as_bool())
                    .unwrap_or_default(),
                pod_annotations: annotations
                    .into_iter()
                    .flatten()
                    .filter_map(|word| word.as_str().map(str::to_owned))
                    .collect(),
            },
            entries: entries(table),
            options: options.map(entries).unwrap_or_default(),
        }
    }
}

/// A runtime's table in a file of this version.
pub fn render_runtime(name: &str, table: &RuntimeTable, version: ConfigVersion) -> String {
    let plugin = match version {
        // Each version's own manner, as `containerd config default` has it.
        ConfigVersion::TWO => format!("\"{}\"", version.cri_plugin()),
        _ => format!("'{}'", version.cri_plugin()),
    };
    let name = toml_edit::Key::new(name);
    let head = format!("plugins.{plugin}.containerd.runtimes.{name}");
    let mut text = format!("[{head}]\n");
    // Writing to a string cannot fail.
    for (key, value) in &table.entries {
        let _ = writeln!(text, "  {key} = {value}");
    }
    if !table.options.is_empty() {
        let _ = writeln!(text, "  [{head}.options]");
        for (key, value) in &table.options {
            let _ = writeln!(text, "    {key} = {value}");
        }
    }
    text
}

fn entry(key: &str, value: Value) -> (String, String) {
    (key.to_owned(), value.to_string().trim().to_owned())
}

fn entries(table: &dyn TableLike) -> Vec<(String, String)> {
    table
        .iter()
        .filter_map(|(key, item)| Some((key, item.as_value().filter(|value| says_something(value))?)))
        .map(|(key, value)| (toml_edit::Key::new(key).to_string(), value.to_string().trim().to_owned()))
        .collect()
}

/// Whether a value is another than containerd has for one that is left out.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.value().is_empty(),
        Value::Boolean(flag) => *flag.value(),
        Value::Integer(number) => *number.value() != 0,
        Value::Array(array) => !array.is_empty(),
        _ => true,
    }
}
