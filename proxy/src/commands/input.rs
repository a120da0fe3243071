//! `akri-proxy input`.

use std::io::Read;
use std::path::PathBuf;

use akri_exchange::{InputName, layout, limits};
use anyhow::{Context, bail};

use crate::exchange::ExchangeDir;

/// Writes `inputs/NAME` in the exchange directory; the proxy that runs there wakes the handler.
///
/// Examples:
///   akri-proxy input availability OFFLINE     takes debugEcho's devices away
///   akri-proxy input availability             an empty input: brings them back
///   akri-proxy input rules - < rules.txt      from standard input
///   kubectl exec POD -c proxy -- akri-proxy input availability OFFLINE
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The input's name: letters, digits, '-', '_', '.'
    name: String,
    /// What to write, at most 64 KiB; '-' reads standard input; nothing writes an empty input
    #[arg(allow_hyphen_values = true, conflicts_with = "remove")]
    value: Option<String>,
    /// Remove the input instead of writing it
    #[arg(long)]
    remove: bool,
    /// The directory that handler and proxy share
    #[arg(long, env = "EXCHANGE_DIRECTORY", default_value = layout::DEFAULT_DIRECTORY)]
    exchange: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let name: InputName = args.name.parse()?;
    let directory = args.exchange.display();
    let dir = ExchangeDir::open(&args.exchange)
        .with_context(|| format!("cannot open the exchange directory {directory}"))?;
    let inputs = dir
        .folder(layout::INPUTS)
        .with_context(|| format!("{directory} has no inputs folder; does a proxy run there?"))?;
    if args.remove {
        return dir.remove(inputs, name.as_str()).with_context(|| format!("cannot remove input {name}"));
    }
    let value = match args.value.as_deref() {
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin().take(limits::INPUT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
            bytes
        }
        value => value.unwrap_or_default().as_bytes().to_vec(),
    };
    if value.len() > limits::INPUT_BYTES {
        bail!("an input may have at most {} bytes", limits::INPUT_BYTES);
    }
    dir.write(inputs, name.as_str(), &value).with_context(|| format!("cannot write input {name}"))
}
