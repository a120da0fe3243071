//! How results are printed: for people or for machines.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Context;

/// The form of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

impl Format {
    /// Prints `value` to standard output. A reader who has gone, as `head` does, is no failure.
    pub(crate) fn print(self, value: &(impl serde::Serialize + Display)) -> anyhow::Result<()> {
        let text = match self {
            Self::Table => value.to_string(),
            Self::Json => {
                serde_json::to_string_pretty(value).context("cannot write the result as JSON")? + "\n"
            }
        };
        match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(error).context("cannot print the result")
            }
            _ => Ok(()),
        }
    }
}
