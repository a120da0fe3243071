//! `akri-proxy discover`.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc;

use super::show::{Output, Printer};
use crate::agent::{Address, Happening, Socket, Union};
use crate::akri::{DEBUG_ECHO, DEFAULT_DIRECTORY, DIRECTORY_VARIABLE};
use crate::pb::{ByteData, DiscoverRequest};
use crate::shutdown::signalled;

/// Happenings that wait to be shown; a handler that floods has to wait, too.
const WAITING: usize = 16;

/// Takes the agent's place in a directory, waits until a handler registers there, asks it, and shows its devices.
///
/// Examples:
///   echo 'descriptions: [foo0, foo1]' | akri-proxy discover --details -
///   akri-proxy discover --details config.yaml --watch
///   akri-proxy discover --name udev --details rules.yaml --property PASSWORD=secret -o json
///   akri-proxy discover --endpoint /var/lib/akri/debugEcho-wasm-0.sock --details config.yaml
///
/// Exit codes: 0 the devices were shown, 1 the handler refused or nobody registered in time, 2 wrong usage.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The directory in which handlers look for the agent's socket
    #[arg(long, env = DIRECTORY_VARIABLE, default_value = DEFAULT_DIRECTORY)]
    directory: PathBuf,
    /// Ask the handler of this name; others that register are passed over
    #[arg(long, default_value = DEBUG_ECHO)]
    name: String,
    /// Ask this endpoint directly: a socket's path, or http://ADDRESS:PORT. Nobody has to register then
    #[arg(long)]
    endpoint: Option<String>,
    /// The discovery details, as a Configuration has them; '-' reads standard input
    #[arg(long, value_name = "FILE|-")]
    details: Option<PathBuf>,
    /// A discovery property (repeatable); a name alone is a property without a value
    #[arg(long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// Go on showing changes, until interrupted
    #[arg(long)]
    watch: bool,
    /// How to show devices; JSON is an object a line
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Seconds to wait for the first list, without --watch; 0 waits for ever
    #[arg(long, default_value_t = 30)]
    timeout: u64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let request = request(&args)?;
    let (sender, mut happenings) = mpsc::channel(WAITING);
    let mut union = Union::new(request, sender.clone());
    let mut printer = Printer::new(args.output);
    let mut socket = match &args.endpoint {
        Some(endpoint) => {
            union.ask(Address::parse(endpoint));
            None
        }
        None => {
            let socket = Socket::bind(&args.directory).await?;
            printer.note(&format!(
                "waiting for handler {} to register in {}",
                args.name,
                args.directory.display()
            ));
            Some(socket)
        }
    };
    let registrations = async {
        match &mut socket {
            Some(socket) => socket.serve(sender, args.directory.clone()).await,
            None => std::future::pending().await,
        }
    };
    let shown = async {
        while let Some(happening) = happenings.recv().await {
            if take(happening, &args, &mut union, &mut printer)? && !args.watch {
                return Ok(());
            }
        }
        Ok(())
    };
    let limit = async {
        match args.timeout {
            0 => std::future::pending().await,
            _ if args.watch => std::future::pending().await,
            seconds => tokio::time::sleep(Duration::from_secs(seconds)).await,
        }
    };
    tokio::select! {
        shown = shown => shown,
        served = registrations => served.context("the registration socket"),
        signal = signalled() => signal.map(drop).context("cannot wait for signals"),
        () = limit => bail!("no devices within {} s: no handler {} registered or answered", args.timeout, args.name),
    }
}

/// Deals with what happened. Whether a list was shown.
fn take(happening: Happening, args: &Args, union: &mut Union, printer: &mut Printer) -> anyhow::Result<bool> {
    match happening {
        Happening::Registered { name, address } if name == args.name => {
            printer.note(&format!("{name} registered at {address}"));
            union.ask(address);
        }
        Happening::Registered { name, address } => {
            printer.note(&format!("{name} registered at {address}, passed over"));
        }
        Happening::Listed { address, devices } => {
            union.listed(address, devices);
            printer.devices(&union.devices())?;
            return Ok(true);
        }
        Happening::Ended { address, status } => {
            let others = union.ended(&address);
            let what = match status.code() {
                tonic::Code::Ok => status.message().to_owned(),
                code => format!("{code:?}: {}", status.message()),
            };
            if !args.watch || (args.endpoint.is_some() && !others) {
                bail!("{address}: {what}");
            }
            printer.note(&format!("{address}: {what}"));
            printer.devices(&union.devices())?;
        }
    }
    Ok(false)
}

fn request(args: &Args) -> anyhow::Result<DiscoverRequest> {
    let discovery_details = match &args.details {
        None => String::new(),
        Some(path) if path.as_os_str() == "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .context("cannot read the details from standard input")?;
            text
        }
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the details from {}", path.display()))?,
    };
    let property = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), ByteData { vec: Some(value.as_bytes().to_vec()) }),
        None => (text.clone(), ByteData { vec: None }),
    };
    Ok(DiscoverRequest {
        discovery_details,
        discovery_properties: args.properties.iter().map(property).collect(),
    })
}
