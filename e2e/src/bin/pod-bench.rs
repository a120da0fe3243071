//! `make bench`, the pod's part: see `e2e::pod_bench`.

use clap::Parser;
use e2e::pod_bench;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    match pod_bench::run(pod_bench::Args::parse()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pod-bench: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
