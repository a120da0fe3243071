//! A program that is run on the node, and what it said.

use std::fmt;
use std::time::Duration;

/// How long a program may take that only looks.
const LOOK_LIMIT: Duration = Duration::from_secs(20);
/// How long a program may take that downloads and installs.
const INSTALL_LIMIT: Duration = Duration::from_secs(1800);

/// A program with its arguments: never a line for a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Its name or path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables that it gets besides.
    pub environment: Vec<(&'static str, &'static str)>,
    /// The longest that it may take.
    pub limit: Duration,
}

/// What a program did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its standard output, cut off at a bound.
    pub stdout: String,
    /// Its standard error, cut off at a bound.
    pub stderr: String,
}

impl Invocation {
    /// A program that only looks.
    pub fn look(program: impl Into<String>, arguments: &[&str]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            environment: Vec::new(),
            limit: LOOK_LIMIT,
        }
    }

    /// A program that downloads and installs.
    pub fn install(program: impl Into<String>, arguments: &[&str]) -> Self {
        Self { limit: INSTALL_LIMIT, ..Self::look(program, arguments) }
    }

    /// With a variable of the environment.
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// With more arguments.
    pub fn and(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|word| (*word).to_owned()));
        self
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str(&quoted(&self.program))?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

impl serde::Serialize for Invocation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Ran {
    /// Whether it ended with 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// The last lines that it said, of its errors if it said any, in a form that can be printed.
    pub fn complaint(&self) -> String {
        let text = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(5)..].join("; ");
        let end = match self.code {
            Some(code) => format!("exit code {code}"),
            None => "ended by a signal".to_owned(),
        };
        if last.is_empty() { end } else { format!("{end}: {}", last.escape_debug()) }
    }
}

/// As a person would type it in a shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@+%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_as_typed() {
        let invocation = Invocation::look("apt-get", &["install", "a b", "it's", ""]).with("A", "x y");
        assert_eq!(invocation.to_string(), r"A='x y' apt-get install 'a b' 'it'\''s' ''");
    }

    #[test]
    fn complaints_are_short_and_printable() {
        let stderr = (0..100).map(|n| format!("line {n}\x1b\n")).collect();
        let said = Ran { code: Some(1), stderr, ..Ran::default() }.complaint();
        assert!(
            said.starts_with("exit code 1: line 95\\u{1b}; ") && said.ends_with("line 99\\u{1b}"),
            "{said}"
        );
    }
}
