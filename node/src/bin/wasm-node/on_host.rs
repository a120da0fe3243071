//! `wasm-node on-host`

use std::ffi::OsString;
use std::process::ExitCode;

use wasm_node::on_host;

/// In a pod: run the same program on the pod's host
///
/// The program is kept on the host as /usr/local/bin/wasm-node and run there by systemd, outside of the pod: it ends what it began
/// even where the pod is ended. One run at a time; a second one waits for the first.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// What to run there: a command of wasm-node with its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

const HELP: &str = "\
Examples:
  kubectl apply -k runtimeclass/node      a DaemonSet of: wasm-node on-host apply, wasm-node on-host doctor
  kubectl debug node/edge-1 -it --profile=sysadmin --image=REGISTRY/wasm-node:TAG -- /wasm-node on-host uninstall

Exit codes: those of COMMAND; 1 also where it cannot be run there";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let status = on_host::run(&self.command, &mut |step| eprintln!("==> {step}"))?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }
}
