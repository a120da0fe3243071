//! Containers' logs on the node, as the kubelet has them kept: `TIME STREAM TAG TEXT` a line.
//! Source: <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, ensure};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde_json::{Value, json};

/// The most that is read of a log, from its end: a container decides how long its lines are.
const MOST_BYTES: u64 = 256 * 1024;

/// The last lines of an inspected container's log, and whose it is; where it cannot be read, why.
pub(super) fn read(root: &Path, container: &Value, lines: usize) -> Value {
    let status = &container["status"];
    let mut document = json!({ "id": status["id"], "metadata": status["metadata"] });
    match last(root, status["logPath"].as_str().unwrap_or_default()) {
        Ok(text) => {
            let all: Vec<Value> = text.lines().filter_map(line).collect();
            document["lines"] = Value::Array(all[all.len().saturating_sub(lines)..].to_vec());
        }
        Err(error) => document["error"] = Value::String(format!("{error:#}")),
    }
    document
}

fn last(root: &Path, path: &str) -> anyhow::Result<String> {
    let base = File::open(root).with_context(|| format!("cannot open {}", root.display()))?;
    // Links on the node are the node's: none leads out of its root. A pipe in the log's place makes nobody wait.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = openat2(&base, path, flags, Mode::empty(), ResolveFlags::IN_ROOT);
    let mut file = File::from(opened.with_context(|| format!("cannot open the log {path:?}"))?);
    let metadata = file.metadata()?;
    ensure!(metadata.is_file(), "the log {path:?} is no plain file");
    let skipped = metadata.len().saturating_sub(MOST_BYTES);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line is whole only where the file begins with it.
    Ok(if skipped == 0 { text } else { text.split_once('\n').unwrap_or_default().1.to_owned() })
}

fn line(text: &str) -> Option<Value> {
    let mut words = text.splitn(4, ' ');
    let [time, stream, _tag] = [words.next()?, words.next()?, words.next()?];
    Some(json!({ "time": time, "stream": stream, "text": words.next().unwrap_or_default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(root: &Path, path: &str, lines: usize) -> Value {
        read(root, &json!({ "status": { "id": "a", "logPath": path } }), lines)
    }

    #[test]
    fn the_last_lines_and_their_streams() {
        let root = tempfile::tempdir().unwrap();
        let text = "2026-01-01T00:00:00Z stdout F one\n2026-01-01T00:00:01Z stderr F two words\nnonsense\n";
        std::fs::write(root.path().join("0.log"), text).unwrap();
        let seen = of(root.path(), "/0.log", 1);
        assert_eq!(
            seen["lines"],
            json!([{ "time": "2026-01-01T00:00:01Z", "stream": "stderr", "text": "two words" }])
        );
    }

    #[test]
    fn links_stay_in_the_root_and_other_files_are_not_read() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.path().join("link")).unwrap();
        for path in ["/link", "/../etc/hostname", "/", ""] {
            assert!(of(root.path(), path, 1)["error"].is_string(), "{path}");
        }
    }

    #[test]
    fn of_a_long_log_its_end_is_read() {
        let root = tempfile::tempdir().unwrap();
        let line = "2026-01-01T00:00:00Z stdout F x\n";
        std::fs::write(root.path().join("0.log"), line.repeat(20_000)).unwrap();
        let seen = of(root.path(), "/0.log", usize::MAX);
        let lines = seen["lines"].as_array().unwrap();
        assert!(lines.len() > 1000 && lines.len() < 20_000);
        assert!(lines.iter().all(|line| line["text"] == "x"));
    }
}
