//! `wasm-node doctor`

use std::process::ExitCode;

use anyhow::Context;
use wasm_node::doctor::{NodeName, Severity, examine, label};
use wasm_node::facts::detect;
use wasm_node::system::System;

use crate::ATTENTION;
use crate::node::Node;
use crate::output::Format;

/// Look whether the node runs WebAssembly, up to running it: a pod of a module, then one beside a native program
///
/// The trial brings its own images, needs no network, and leaves nothing.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    node: Node,

    /// Only look: run no pod
    #[arg(long, alias = "no-trial")]
    dry_run: bool,

    /// After success, label this node by kubectl, for a RuntimeClass to schedule by
    ///
    /// As KUBECONFIG says; without it by the kubelet's own kubeconfig, where there is one.
    #[arg(long, value_name = "NODE", conflicts_with = "dry_run")]
    label: Option<NodeName>,

    /// Exit with 0 where wasm runs, even with warnings: for an init container
    #[arg(long)]
    accept_warnings: bool,

    /// How the result is printed
    #[arg(long = "output", short, value_enum, default_value_t)]
    output: Format,
}

const HELP: &str = "\
Examples:
  wasm-node doctor
  wasm-node doctor -o json | jq '.findings[] | select(.severity != \"ok\")'
  wasm-node doctor --label edge-1

Exit codes: 0 all is well, 1 wasm does not run or something failed, 2 usage, 3 wasm runs, and there are warnings";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let options = self.node.bare_options();
        let system = self.node.open()?;
        let facts = detect(&system, &options)?;
        let mut report = examine(&facts, &options, system.tree());
        if !self.dry_run {
            report.prove(&system, &facts, &options);
        }
        let severity = report.severity();
        self.output.print(&report)?;
        if let Some(node) = self.label.as_ref().filter(|_| severity < Severity::Error) {
            let label = label(&system, facts.layout.kind, node, &options.handler)
                .context("the node runs wasm, but is not labelled")?;
            eprintln!("==> labelled: {label}");
        }
        Ok(match severity {
            Severity::Ok => ExitCode::SUCCESS,
            Severity::Warning if self.accept_warnings => ExitCode::SUCCESS,
            Severity::Warning => ExitCode::from(ATTENTION),
            Severity::Error => ExitCode::FAILURE,
        })
    }
}
