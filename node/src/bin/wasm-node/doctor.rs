use std::process::ExitCode;
/// x
#[derive(clap::Args)]
pub(crate) struct Args {}
impl Args { pub(crate) fn run(self) -> anyhow::Result<ExitCode> { Ok(ExitCode::SUCCESS) } }
