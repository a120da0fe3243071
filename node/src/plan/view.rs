//! A plan as people and machines read it: each step with its reason, files as differences.

use std::fmt;

use similar::TextDiff;

use super::{Action, Plan, Step, Write};
use crate::facts::Restart;
use crate::printable::printable;

/// The most lines that a table shows of a new file.
const MAX_NEW: usize = 30;

/// A plan, to be printed.
#[derive(Debug)]
pub struct View<'a>(pub &'a Plan);

#[derive(serde::Serialize)]
struct Line<'a> {
    kind: &'static str,
    what: String,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commands: Vec<String>,
}

impl serde::Serialize for View<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Whole<'a> {
            steps: Vec<Line<'a>>,
            notes: &'a [String],
        }
        Whole { steps: self.0.steps.iter().flat_map(lines).collect(), notes: &self.0.notes }
            .serialize(serializer)
    }
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            writeln!(f, "nothing to do: the node is prepared")?;
        }
        for (number, line) in self.0.steps.iter().flat_map(lines).enumerate() {
            writeln!(f, "{}. {}\n   {}", number + 1, line.what, line.reason)?;
            for command in &line.commands {
                writeln!(f, "     $ {command}")?;
            }
            if let Some(diff) = &line.diff {
                let lines: Vec<&str> = diff.lines().collect();
                // What is new from beginning to end is not read line by line.
                let shown =
                    if diff.starts_with("--- /dev/null") { MAX_NEW.min(lines.len()) } else { lines.len() };
                lines[..shown].iter().try_for_each(|line| writeln!(f, "     {}", printable(line)))?;
                if shown < lines.len() {
                    writeln!(f, "     ... and {} more lines: -o json has them", lines.len() - shown)?;
                }
            }
        }
        self.0.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

fn lines(step: &Step) -> Vec<Line<'_>> {
    let line = |kind, what, diff, commands| Line { kind, what, reason: &step.reason, diff, commands };
    match &step.action {
        Action::Install { writes, commands, packages } => {
            let mut lines: Vec<Line<'_>> = writes
                .iter()
                .map(|write| {
                    line("write", format!("write {}", write.path.display()), Some(diff(write)), Vec::new())
                })
                .collect();
            let commands = commands.iter().map(ToString::to_string).collect();
            lines.push(line("install", format!("install {}", packages.join(", ")), None, commands));
            lines
        }
        Action::Write(write) => {
            vec![line("write", format!("write {}", write.path.display()), Some(diff(write)), Vec::new())]
        }
        Action::Try(command) => vec![line("run", format!("run {command}"), None, Vec::new())],
        Action::Restart(restart) => {
            let what = match restart {
                Restart::Unit(unit) => format!("restart {unit}"),
                Restart::Command(command) => format!("restart containerd: {command}"),
                Restart::Person => {
                    "restart containerd: yours to do, for there is no systemd here (or say --restart-command)"
                        .to_owned()
                }
            };
            vec![line("restart", what, None, Vec::new())]
        }
    }
}

fn diff(write: &Write) -> String {
    let old = write.old.as_ref().map(|old| String::from_utf8_lossy(&old.bytes)).unwrap_or_default();
    let new = String::from_utf8_lossy(&write.new);
    let path = write.path.display().to_string();
    let from = if write.old.is_some() { &*path } else { "/dev/null" };
    TextDiff::from_lines(&*old, &*new).unified_diff().context_radius(3).header(from, &path).to_string()
}
