//! `wasm-node uninstall`

use std::fmt;
use std::process::ExitCode;

use wasm_node::uninstall::{Uninstalled, plan_removal, uninstall};

use crate::ATTENTION;
use crate::node::{Node, clear};
use crate::output::Format;

/// Put back what was there before apply
///
/// A file that nobody changed since gets the bytes that it had. From one that somebody changed only our block is taken
/// out. Packages stay, and are named. Pods that use the runtime do not start again afterwards.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    node: Node,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// How the result is printed
    #[arg(long = "output", short, value_enum, default_value_t)]
    output: Format,
}

const HELP: &str = "\
Examples:
  wasm-node uninstall --dry-run
  wasm-node uninstall

Exit codes: 0 done, 1 failed (run it again to finish), 2 usage, 3 done but for a restart of containerd";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let options = self.node.bare_options();
        let system = self.node.open()?;
        let done = if self.dry_run {
            plan_removal(&system, &options)?
        } else {
            // Before, for containers are removed by the runtime that has started them.
            clear(&system, &options);
            uninstall(&system, &options, &mut |step| eprintln!("==> {step}"))?
        };
        let due = done.restart_due;
        self.output.print(&Report(done))?;
        Ok(if due { ExitCode::from(ATTENTION) } else { ExitCode::SUCCESS })
    }
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Report(Uninstalled);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = &self.0;
        if done.files.is_empty() {
            writeln!(f, "nothing of wasm-node is here")?;
        }
        done.files.iter().try_for_each(|file| writeln!(f, "{file}"))?;
        if !done.packages.is_empty() {
            writeln!(f, "installed packages stay: apt-get remove or dnf remove {}", done.packages.join(" "))?;
        }
        if done.restart_due {
            writeln!(f, "restart containerd")?;
        }
        Ok(())
    }
}
