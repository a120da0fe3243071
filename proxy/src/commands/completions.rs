//! `akri-proxy completions`.

use clap::CommandFactory;

use crate::cli::Cli;

/// Prints a completion script for a shell.
///
/// Examples:
///   akri-proxy completions bash > /etc/bash_completion.d/akri-proxy
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Which shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    clap_complete::generate(args.shell, &mut Cli::command(), "akri-proxy", &mut std::io::stdout());
    Ok(())
}
