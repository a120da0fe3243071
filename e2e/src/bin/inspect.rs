//! The program: reads its arguments, runs, and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser;
use e2e::crictl::{Args, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Args::parse(), &mut std::io::stdout().lock()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("inspect: {error:#}");
            ExitCode::FAILURE
        }
    }
}
