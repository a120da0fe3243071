//! The documents as tables: crictl's columns, and of what is inspected the fields that tell how a wasm container runs.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::What;
use crate::VARIANT_ANNOTATION;
use crate::say::bytes;

/// Characters of an id, as crictl shows it.
const ID: usize = 13;

pub(super) fn show(out: &mut impl Write, what: What, document: &Value) -> io::Result<()> {
    match what {
        What::All | What::Info => info(out, document),
        What::Pods => {
            let rows = list(&document["items"]).map(|pod| {
                let metadata = &pod["metadata"];
                vec![
                    id(&pod["id"]),
                    ago(&pod["createdAt"]),
                    state(&pod["state"], "SANDBOX_"),
                    text(&metadata["name"]),
                    text(&metadata["namespace"]),
                    text(&metadata["attempt"]),
                    text(&pod["runtimeHandler"]),
                ]
            });
            rows_of(
                out,
                &["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"],
                rows.collect(),
            )
        }
        What::Ps => {
            let rows = list(&document["containers"]).map(|container| {
                vec![
                    id(&container["id"]),
                    text(first(&container["image"]["userSpecifiedImage"], &container["image"]["image"])),
                    ago(&container["createdAt"]),
                    state(&container["state"], "CONTAINER_"),
                    text(&container["metadata"]["name"]),
                    text(&container["metadata"]["attempt"]),
                    id(&container["podSandboxId"]),
                    text(&container["labels"]["io.kubernetes.pod.name"]),
                ]
            });
            let headings = ["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD"];
            rows_of(out, &headings, rows.collect())
        }
        What::Stats => {
            let rows = list(&document["stats"]).map(|stats| {
                let attributes = &stats["attributes"];
                let cpu = number(&stats["cpu"]["usageCoreNanoSeconds"]["value"]);
                vec![
                    id(&attributes["id"]),
                    text(&attributes["metadata"]["name"]),
                    cpu.map_or("-".to_owned(), |used| format!("{:.3} s", used as f64 / 1e9)),
                    number(&stats["memory"]["workingSetBytes"]["value"]).map_or("-".to_owned(), bytes),
                    number(&stats["writableLayer"]["usedBytes"]["value"]).map_or("-".to_owned(), bytes),
                ]
            });
            rows_of(out, &["CONTAINER", "NAME", "CPU", "MEM", "DISK"], rows.collect())
        }
        What::Inspectp => fields(out, document, POD),
        What::Inspect => fields(out, document, CONTAINER),
        What::Inspecti => fields(out, document, IMAGE),
        What::Logs => logs(out, document),
    }
}

/// A path as jq spells it, and how to get there.
type Field = (&'static str, &'static [&'static str]);

const POD: &[Field] = &[
    (".status.id", &["status", "id"]),
    (".status.metadata.name", &["status", "metadata", "name"]),
    (".status.metadata.namespace", &["status", "metadata", "namespace"]),
    (".status.state", &["status", "state"]),
    (".status.network.ip", &["status", "network", "ip"]),
    (".info.runtimeHandler", &["info", "runtimeHandler"]),
];
const CONTAINER: &[Field] = &[
    (".status.id", &["status", "id"]),
    (".status.metadata.name", &["status", "metadata", "name"]),
    (".status.metadata.attempt", &["status", "metadata", "attempt"]),
    (".status.state", &["status", "state"]),
    (".status.startedAt", &["status", "startedAt"]),
    (".status.finishedAt", &["status", "finishedAt"]),
    (".status.exitCode", &["status", "exitCode"]),
    (".status.reason", &["status", "reason"]),
    (".status.image.image", &["status", "image", "image"]),
    (".status.logPath", &["status", "logPath"]),
    (".info.pid", &["info", "pid"]),
    (
        ".info.runtimeSpec.annotations[\"module.wasm.image/variant\"]",
        &["info", "runtimeSpec", "annotations", VARIANT_ANNOTATION],
    ),
    (".info.runtimeSpec.process.args", &["info", "runtimeSpec", "process", "args"]),
];
const IMAGE: &[Field] = &[
    (".status.id", &["status", "id"]),
    (".status.repoTags", &["status", "repoTags"]),
    (".status.repoDigests", &["status", "repoDigests"]),
    (".status.size", &["status", "size"]),
    (".info.imageSpec.architecture", &["info", "imageSpec", "architecture"]),
    (".info.imageSpec.os", &["info", "imageSpec", "os"]),
    (".info.imageSpec.config.Entrypoint", &["info", "imageSpec", "config", "Entrypoint"]),
];

/// One object, or a list of them, a table each.
fn fields(out: &mut impl Write, document: &Value, fields: &[Field]) -> io::Result<()> {
    let objects = document.as_array().map_or(std::slice::from_ref(document), Vec::as_slice);
    for (number, object) in objects.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        let rows = fields.iter().map(|(path, keys)| {
            let value = keys.iter().fold(object, |value, key| &value[*key]);
            vec![(*path).to_owned(), text(value)]
        });
        rows_of(out, &["FIELD", "VALUE"], rows.collect())?;
    }
    Ok(())
}

fn info(out: &mut impl Write, document: &Value) -> io::Result<()> {
    let conditions = list(&document["status"]["conditions"]).map(|condition| {
        vec![text(&condition["type"]), text(&condition["status"]), text(&condition["message"])]
    });
    rows_of(out, &["CONDITION", "STATUS", "MESSAGE"], conditions.collect())?;
    writeln!(out)?;
    let runtimes = document["config"]["containerd"]["runtimes"].as_object();
    let runtimes = runtimes.into_iter().flatten().map(|(name, runtime)| {
        vec![
            printable(name),
            text(first(&runtime["runtimeType"], &runtime["type"])),
            text(&runtime["options"]["BinaryName"]),
            text(&runtime["baseRuntimeSpec"]),
        ]
    });
    rows_of(out, &["RUNTIME HANDLER", "TYPE", "BINARY", "BASE SPEC"], runtimes.collect())
}

fn logs(out: &mut impl Write, document: &Value) -> io::Result<()> {
    for log in list(document) {
        let name = &log["metadata"];
        writeln!(out, "{} ({}, attempt {}):", text(&name["name"]), id(&log["id"]), text(&name["attempt"]))?;
        if let Some(error) = log["error"].as_str() {
            writeln!(out, "  {}", printable(error))?;
        }
        for line in list(&log["lines"]) {
            writeln!(out, "  {} {:<6} {}", text(&line["time"]), text(&line["stream"]), text(&line["text"]))?;
        }
    }
    Ok(())
}

fn rows_of(out: &mut impl Write, headings: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
    for row in std::iter::once(headings).chain(rows) {
        let line: String = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}   ", width = *width))
            .collect();
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The first of two that says anything.
fn first<'a>(one: &'a Value, other: &'a Value) -> &'a Value {
    if one.as_str().is_some_and(|text| !text.is_empty()) { one } else { other }
}

fn id(value: &Value) -> String {
    text(value).chars().take(ID).collect()
}

fn state(value: &Value, prefix: &str) -> String {
    let name = text(value);
    name.strip_prefix(prefix).unwrap_or(&name).to_lowercase()
}

fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// What containers and images say moves no cursor.
fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for letter in text.chars() {
        // The marks between them turn the writing direction.
        if letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            clean.extend(letter.escape_unicode());
        } else {
            clean.push(letter);
        }
    }
    clean
}

fn ago(nanoseconds: &Value) -> String {
    let Some(nanoseconds) = number(nanoseconds) else { return "-".to_owned() };
    let then = UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    let seconds = SystemTime::now().duration_since(then).unwrap_or_default().as_secs();
    match seconds {
        0 => "just now".to_owned(),
        1..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        _ => format!("{} h ago", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_strangers_say_moves_no_cursor() {
        let line = json!({ "time": "t", "stream": "stdout", "text": "\u{1b}[2J\u{202e}x" });
        let document =
            json!([{ "id": "0123456789abcdef", "metadata": { "name": "a", "attempt": 0 }, "lines": [line] }]);
        let mut out = Vec::new();
        show(&mut out, What::Logs, &document).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert_eq!(said, "a (0123456789abc, attempt 0):\n  t stdout \\u{1b}[2J\\u{202e}x\n");
    }

    #[test]
    fn what_is_missing_is_a_dash() {
        let mut out = Vec::new();
        show(&mut out, What::Inspectp, &json!({ "status": { "id": "x" } })).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert!(said.lines().any(|line| line.starts_with(".status.id") && line.ends_with(" x")), "{said}");
        assert!(
            said.lines().any(|line| line.starts_with(".info.runtimeHandler") && line.ends_with(" -")),
            "{said}"
        );
    }
}
