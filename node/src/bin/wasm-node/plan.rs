//! `wasm-node plan`

use std::process::ExitCode;

use wasm_node::facts::detect;
use wasm_node::plan::{View, plan};

use crate::ATTENTION;
use crate::node::{Allowed, Node};
use crate::output::Format;

/// Show what apply would change, as a diff, and why; change nothing
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    node: Node,

    #[command(flatten)]
    allowed: Allowed,

    /// How the result is printed
    #[arg(long = "output", short, value_enum, default_value_t)]
    output: Format,

    /// Plan always is a dry run; taken for the sake of scripts
    #[arg(long)]
    dry_run: bool,
}

const HELP: &str = "\
Examples:
  wasm-node plan
  wasm-node plan -o json | jq '.facts.crun, .steps[].what'
  wasm-node plan --root /mnt/image

Exit codes: 0 nothing is to be done, 1 it cannot be done (why is said), 2 usage, 3 something is to be done";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let options = self.node.options(&self.allowed);
        let facts = detect(&self.node.open()?, &options)?;
        show(&facts, &plan(&facts, &options)?, self.output)
    }
}

/// Prints a plan; the code says whether there is something to do.
pub(crate) fn show(
    facts: &wasm_node::facts::Facts,
    plan: &wasm_node::plan::Plan,
    output: Format,
) -> anyhow::Result<ExitCode> {
    output.print(&Shown { facts, plan: View(plan) })?;
    Ok(if plan.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(ATTENTION) })
}

#[derive(serde::Serialize)]
struct Shown<'a> {
    facts: &'a wasm_node::facts::Facts,
    #[serde(flatten)]
    plan: View<'a>,
}

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.plan.fmt(f)
    }
}
