//! `wasm-image`: the command line over the library of the same name.

mod build;
mod check;
mod compile;
mod completions;
mod engine;
mod extract;
mod inspect;
mod output;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, check, inspect, run and unpack OCI images of WebAssembly modules and static binaries, without Docker
#[derive(Parser)]
#[command(name = "wasm-image", version, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Examples:
  wasm-image build hello.wasm --tag localhost/hello:dev --output hello.tar
  ctr -n k8s.io images import hello.tar

  wasm-image inspect hello.tar
  wasm-image extract hello.tar --output hello.wasm
  wasm-image check hello.wasm --max-size 130000 --max-gzip 55000

Exit codes:
  0  done, and nothing is wrong
  1  failed, or what was looked at is wrong
  2  the command line is wrong";

#[derive(Subcommand)]
enum Command {
    Build(Box<build::Args>),
    Extract(extract::Args),
    Inspect(inspect::Args),
    Check(check::Args),
    Run(Box<run::Args>),
    Compile(Box<compile::Args>),
    Completions(completions::Args),
    #[cfg(feature = "wasmedge")]
    #[command(name = wasm_image::engine::CHILD_COMMAND, hide = true)]
    EngineChild(engine::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Build(args) => args.run(),
        Command::Extract(args) => args.run(),
        Command::Inspect(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Run(args) => args.run(),
        Command::Compile(args) => args.run(),
        Command::Completions(args) => args.run(),
        #[cfg(feature = "wasmedge")]
        Command::EngineChild(args) => return args.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be done if even this fails.
            let _ = writeln!(io::stderr(), "wasm-image: {error:#}");
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
