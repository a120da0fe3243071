//! The command line. Each command's arguments stand beside its `run`.

use clap::{Parser, Subcommand};

use crate::commands::{completions, discover, input, serve, status};

/// Speaks for an Akri discovery handler in WebAssembly, and plays the Akri Agent for those who write one.
///
/// Exit codes: 0 done, 1 failed (the message says what to do), 2 wrong usage.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The program's commands. What each does is said where its arguments are.
#[allow(missing_docs, reason = "a comment here would replace the help that stands with the arguments")]
#[derive(Debug, Subcommand)]
pub enum Command {
    Serve(Box<serve::Args>),
    Discover(discover::Args),
    Status(status::Args),
    Input(input::Args),
    Completions(completions::Args),
}
