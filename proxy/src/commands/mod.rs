//! The commands, a file each.

pub(crate) mod completions;
pub(crate) mod discover;
pub(crate) mod input;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod status;

use crate::cli::{Cli, Command};

/// Runs a command to its end.
///
/// # Errors
/// With what went wrong and what to do, for printing once.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(args) => serve::run(*args).await,
        Command::Discover(args) => discover::run(args).await,
        Command::Status(args) => status::run(&args).await,
        Command::Input(args) => input::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}
