//! `wasm-node`: the command line over the library of the same name.

mod apply;
mod completions;
mod doctor;
mod node;
mod on_host;
mod output;
mod plan;
mod uninstall;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Prepare a node for WebAssembly containers by crun with WasmEdge, and prove that it runs them
#[derive(Parser)]
#[command(name = "wasm-node", version, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Examples:
  wasm-node plan                      what would be changed, as a diff, and why
  wasm-node apply && wasm-node doctor
  wasm-node uninstall

  wasm-node apply --root /mnt/image   a root folder that something will boot from later

Exit codes:
  0  done, and nothing is wrong
  1  failed, refused, or doctor found an error
  2  the command line is wrong
  3  plan: something is to be done; doctor: warnings, no error; apply, uninstall: a restart of containerd is due";

#[derive(Subcommand)]
enum Command {
    Plan(plan::Args),
    Apply(apply::Args),
    Doctor(doctor::Args),
    Uninstall(uninstall::Args),
    OnHost(on_host::Args),
    Completions(completions::Args),
}

/// Something is to be done or to be known, and nothing failed.
const ATTENTION: u8 = 3;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Plan(args) => args.run(),
        Command::Apply(args) => args.run(),
        Command::Doctor(args) => args.run(),
        Command::Uninstall(args) => args.run(),
        Command::OnHost(args) => args.run(),
        Command::Completions(args) => args.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be done if even this fails.
            let _ = writeln!(io::stderr(), "wasm-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
