//! `wasm-node completions`

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print the completions for a shell
#[derive(clap::Args)]
#[command(after_help = "Example:\n  wasm-node completions bash > /etc/bash_completion.d/wasm-node")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        // Into memory first: clap_complete panics when the reader has gone.
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Cli::command(), "wasm-node", &mut text);
        io::stdout().write_all(&text).context("cannot print the completions")?;
        Ok(ExitCode::SUCCESS)
    }
}
