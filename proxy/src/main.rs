//! The program: reads its arguments, runs, and turns the outcome into an exit code.

use std::process::ExitCode;

use akri_proxy::cli::Cli;
use clap::Parser;

// One thread: the proxy mostly waits, and a thread is memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match akri_proxy::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("akri-proxy: {error:#}");
            ExitCode::FAILURE
        }
    }
}
