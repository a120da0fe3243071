//! `make bench`, the udev handler's part: see `e2e::udev_bench`.

use clap::Parser;
use e2e::udev_bench;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    match udev_bench::run(udev_bench::Args::parse()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udev-bench: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
