//! `wasm-image completions`

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print the completions for a shell
#[derive(clap::Args)]
#[command(after_help = "Example:\n  wasm-image completions bash > /etc/bash_completion.d/wasm-image")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        // Into memory first: clap_complete panics when the reader has gone.
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Cli::command(), "wasm-image", &mut text);
        io::stdout().write_all(&text).context("cannot print the completions")?;
        Ok(ExitCode::SUCCESS)
    }
}
