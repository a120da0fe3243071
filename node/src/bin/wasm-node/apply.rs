//! `wasm-node apply`

use std::process::ExitCode;

use wasm_node::apply::{Applied, apply};
use wasm_node::facts::detect;
use wasm_node::plan::plan;

use crate::ATTENTION;
use crate::node::{Allowed, Node, clear};
use crate::output::Format;

/// Prepare the node: install what is missing, add the runtime, restart containerd if that matters, look whether all is well
///
/// Every runtime that was there is kept. A second run changes nothing and restarts nothing. Killed at any point, it
/// finishes when it is run again; and where containerd is worse off afterwards, everything is put back.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    node: Node,

    #[command(flatten)]
    allowed: Allowed,

    /// Say what would be done, and do nothing: as plan
    #[arg(long)]
    dry_run: bool,

    /// How the result is printed
    #[arg(long = "output", short, value_enum, default_value_t)]
    output: Format,
}

const HELP: &str = "\
Examples:
  wasm-node apply
  wasm-node apply --kernel always                  a kubelet is to come
  wasm-node apply --restart-command 'rc-service containerd restart'
  wasm-node apply --root /mnt/image

Exit codes: 0 the node is prepared, 1 it is not (why is said), 2 usage,
3 it is but for a restart of containerd; with --dry-run: something is to be done";

#[derive(serde::Serialize)]
struct Report {
    outcome: Applied,
    steps: Vec<String>,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let options = self.node.options(&self.allowed);
        let system = self.node.open()?;
        if self.dry_run {
            let facts = detect(&system, &options)?;
            return crate::plan::show(&facts, &plan(&facts, &options)?, self.output);
        }
        let mut steps = Vec::new();
        let mut say = |step: &str| {
            eprintln!("==> {step}");
            steps.push(step.to_owned());
        };
        let outcome = apply(&system, &options, &mut say)?;
        // Afterwards, for containerd may have been down before.
        clear(&system, &options);
        let due = outcome == Applied::RestartDue;
        self.output.print(&Report { outcome, steps })?;
        Ok(if due { ExitCode::from(ATTENTION) } else { ExitCode::SUCCESS })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.outcome {
            Applied::Unchanged => "nothing to do: the node is prepared\n",
            Applied::Done => "the node is prepared: `wasm-node doctor` proves it\n",
            Applied::RestartDue => "the node is prepared: restart containerd, then run `wasm-node doctor`\n",
        })
    }
}
