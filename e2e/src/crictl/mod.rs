//! The program `inspect`: what crictl shows of pods, asked through the CRI, for nodes that have no crictl.
//!
//! `runtime` asks containerd; `document` gives its answers the form of crictl's JSON, path by path; `log` reads containers'
//! logs; `table` shows these documents to people. It changes nothing on the node.

mod document;
mod log;
mod runtime;
mod table;

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum;
use serde_json::{Value, json};

use runtime::{Runtime, Scope};

/// Where containerd listens, on most nodes.
const SOCKET: &str = "/run/containerd/containerd.sock";

/// Shows what crictl shows of the pods that run under crun with WasmEdge, for nodes without crictl.
///
/// With -o json each has the paths of crictl's own JSON (`inspectp`, `inspect` and `inspecti` without NAME: a list).
///
/// Examples:
///   inspect                            all of it
///   inspect ps                         as crictl ps -a
///   inspect inspect handler            the container of that name, or whose id begins so
///   inspect inspectp -o json | jq '.[].info.runtimeHandler'
///   inspect logs proxy --tail 100
///   inspect pods --all                 pods of other runtimes, too
///
/// Exit codes: 0 shown, 1 not (the message says why), 2 wrong usage.
#[derive(Debug, clap::Parser)]
#[command(name = "inspect", version, verbatim_doc_comment, max_term_width = 110)]
pub struct Args {
    /// What to show: a command of crictl's
    #[arg(value_enum, default_value_t)]
    what: What,
    /// Only the pod, container or image of this name, or whose id begins with this
    name: Option<String>,
    /// Pods of every runtime
    #[arg(long)]
    all: bool,
    /// Lines of each log
    #[arg(long, value_name = "LINES", default_value_t = 10)]
    tail: usize,
    /// containerd's socket
    #[arg(long, default_value = SOCKET)]
    socket: PathBuf,
    /// The node's root folder, for its logs
    #[arg(long, default_value = "/")]
    root: PathBuf,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum What {
    /// All of the following
    #[default]
    All,
    /// The runtime, and the runtime handlers that it has
    Info,
    /// Pods
    Pods,
    /// Containers, those that have ended, too
    Ps,
    /// Pods, in detail
    Inspectp,
    /// Containers, in detail
    Inspect,
    /// The images of containers, in detail
    Inspecti,
    /// The last lines of containers' logs
    Logs,
    /// What containers use
    Stats,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    #[default]
    Table,
    /// For machines
    Json,
}

impl What {
    /// What each command of crictl's is called, which also is its key where all are shown.
    const fn key(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Info => "info",
            Self::Pods => "pods",
            Self::Ps => "ps",
            Self::Inspectp => "inspectp",
            Self::Inspect => "inspect",
            Self::Inspecti => "inspecti",
            Self::Logs => "logs",
            Self::Stats => "stats",
        }
    }

    /// Whether crictl prints a single object of it, and no list.
    const fn is_one(self) -> bool {
        matches!(self, Self::Inspectp | Self::Inspect | Self::Inspecti)
    }
}

/// In the order in which one looks.
const EACH: [What; 8] = [
    What::Info,
    What::Pods,
    What::Ps,
    What::Inspectp,
    What::Inspect,
    What::Inspecti,
    What::Logs,
    What::Stats,
];

/// Shows what the arguments ask for.
///
/// # Errors
/// With what containerd says, or where nothing or too much is of the name.
pub async fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    let scope = if args.all { Scope::All } else { Scope::Ours };
    let mut runtime = Runtime::connect(&args.socket, scope).await?;
    let wanted = if args.what == What::All { EACH.to_vec() } else { vec![args.what] };
    let mut shown = serde_json::Map::new();
    for what in wanted {
        let document = look(args, &mut runtime, what).await?;
        match args.output {
            Output::Json => {
                shown.insert(what.key().to_owned(), document);
            }
            Output::Table => {
                if args.what == What::All {
                    writeln!(out, "{}:", what.key())?;
                }
                table::show(out, what, &document)?;
                if args.what == What::All {
                    writeln!(out)?;
                }
            }
        }
    }
    if args.output == Output::Json {
        let document = if args.what == What::All {
            Value::Object(shown)
        } else {
            shown.remove(args.what.key()).unwrap_or_default()
        };
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    }
    Ok(())
}

async fn look(args: &Args, runtime: &mut Runtime, what: What) -> anyhow::Result<Value> {
    let name = args.name.as_deref();
    let found = match what {
        What::All | What::Info => return runtime.info().await,
        What::Pods => return Ok(json!({ "items": runtime.pods(name).await? })),
        What::Ps => return Ok(json!({ "containers": runtime.containers(name).await? })),
        What::Stats => return Ok(json!({ "stats": runtime.stats(name).await? })),
        What::Inspectp => runtime.inspect_pods(name).await?,
        What::Inspect => runtime.inspect_containers(name).await?,
        What::Inspecti => runtime.inspect_images(name).await?,
        What::Logs => {
            let containers = runtime.inspect_containers(name).await?;
            containers.iter().map(|container| log::read(&args.root, container, args.tail)).collect()
        }
    };
    // In a survey, what is not there is not shown; who names one wants to see it.
    let Some(name) = name.filter(|_| args.what != What::All) else { return Ok(Value::Array(found)) };
    if found.is_empty() {
        bail!("{} finds nothing that is called {name}: see `inspect ps --all`", what.key());
    }
    if !what.is_one() {
        return Ok(Value::Array(found));
    }
    match <[Value; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(several) => bail!("{} are called {name}: give the beginning of an id", several.len()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn arguments_are_well_formed_and_commands_are_named_as_crictls() {
        Args::command().debug_assert();
        for what in EACH {
            let args = Args::try_parse_from(["inspect", what.key()]).unwrap();
            assert_eq!(args.what, what);
        }
    }
}
