//! `wasm-image`: the command line over the library of the same name.

mod build;
mod check;
mod compile;
mod completions;
mod copy;
mod engine;
mod extract;
mod fetched;
mod inspect;
mod output;
mod progress;
mod pull;
mod push;
mod registry_args;
mod run;
mod sbom;
mod tags;
mod transfer_args;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, check, inspect, push, pull, copy and run OCI images of WebAssembly modules and static binaries, without Docker
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
  wasm-image sbom hello.tar
  wasm-image check hello.wasm --max-size 130000 --max-gzip 55000

  wasm-image push hello.tar ghcr.io/me/hello:1.0
  wasm-image pull ghcr.io/me/hello:1.0 --output hello/
  wasm-image copy ghcr.io/me/hello:1.0 localhost:5000/hello:1.0 --plain-http
  wasm-image tags ghcr.io/me/hello

Exit codes:
  0  done, and nothing is wrong
  1  failed, or what was looked at is wrong
  2  the command line is wrong
  3  a registry misses or refuses credentials
  4  there is no such image, tag or blob
  5  something that was transferred is not what its digest or length says";

#[derive(Subcommand)]
enum Command {
    Build(Box<build::Args>),
    Extract(extract::Args),
    Inspect(inspect::Args),
    Sbom(sbom::Args),
    Check(check::Args),
    Run(Box<run::Args>),
    Compile(Box<compile::Args>),
    Push(Box<push::Args>),
    Pull(Box<pull::Args>),
    Copy(Box<copy::Args>),
    Tags(Box<tags::Args>),
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
        Command::Sbom(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Run(args) => args.run(),
        Command::Compile(args) => args.run(),
        Command::Push(args) => args.run(),
        Command::Pull(args) => args.run(),
        Command::Copy(args) => args.run(),
        Command::Tags(args) => args.run(),
        Command::Completions(args) => args.run(),
        #[cfg(feature = "wasmedge")]
        Command::EngineChild(args) => return args.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be done if even this fails.
            let _ = writeln!(io::stderr(), "wasm-image: {error:#}");
            registry_args::exit_code(&error)
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
