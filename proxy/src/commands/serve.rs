//! `akri-proxy serve`.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use akri_exchange::{HandlerName, layout};
use anyhow::{Context, bail};

use crate::akri::{DEBUG_ECHO, DEFAULT_DIRECTORY, DIRECTORY_VARIABLE};
use crate::logging::{self, LogFormat, LogLevel};
use crate::policy::Policy;
use crate::serve::{ServeConfig, serve};
use crate::shutdown::{shutdown, signalled};

/// The name that stands for "whatever the handler announces".
const AUTO: &str = "auto";
/// Directories that may wake the handler: each is a watch of the kernel's.
const MOST_WAKE_ON: usize = 16;

/// Registers with the Akri Agent and serves Discover for the handler in the exchange directory.
///
/// Examples:
///   akri-proxy serve
///   DISCOVERY_HANDLER_NAME=auto akri-proxy serve --exchange /exchange --log-format json
///   POD_IP=10.42.0.7 akri-proxy serve            a NETWORK endpoint instead of a socket
///   akri-proxy serve --policy policy.yaml        which device nodes and mounts the handler may hand out
///   akri-proxy serve --wake-on /run/udev/data    the handler looks as soon as a device comes or goes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The directory of the agent's socket, and of ours; as the agent sees it
    #[arg(long, env = DIRECTORY_VARIABLE, default_value = DEFAULT_DIRECTORY)]
    directory: PathBuf,
    /// The name to register; 'auto' takes the one that the handler announces
    #[arg(long, env = "DISCOVERY_HANDLER_NAME", default_value = DEBUG_ECHO)]
    name: String,
    /// Serve on this address of the pod instead of a socket
    #[arg(long, env = "POD_IP")]
    pod_ip: Option<String>,
    /// The port on that address; the second proxy of a pod takes the next one, and so on
    #[arg(long, env = "DISCOVERY_PORT", default_value_t = 10_000)]
    port: u16,
    /// The directory that handler and proxy share
    #[arg(long, env = "EXCHANGE_DIRECTORY", default_value = layout::DEFAULT_DIRECTORY)]
    exchange: PathBuf,
    /// A directory whose changes wake the handler, as /run/udev/data for devices (repeatable, at most 16; default none)
    #[arg(long, env = "WAKE_ON", value_delimiter = ',', value_name = "DIR")]
    wake_on: Vec<String>,
    /// Where kubelet's gRPC probes ask ('off' for nowhere)
    #[arg(long, env = "HEALTH_ADDRESS", default_value = "0.0.0.0:9180")]
    health: String,
    /// Where Prometheus and `akri-proxy status` ask ('off' for nowhere)
    #[arg(long, env = "METRICS_ADDRESS", default_value = "0.0.0.0:9181")]
    metrics: String,
    /// Hold removals back for so many milliseconds, instead of what the handler says
    #[arg(long, env = "REMOVAL_GRACE_MILLISECONDS", value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    removal_grace: Option<u64>,
    /// Milliseconds that headers may wait for a living handler's first answer (the agent holds a lock meanwhile)
    #[arg(long, env = "FIRST_ANSWER_MILLISECONDS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(..=10_000))]
    first_answer: u64,
    /// Milliseconds that the handler may owe an answer before it counts as hung
    #[arg(long, env = "ANSWER_DEADLINE_MILLISECONDS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    answer_deadline: u64,
    /// Milliseconds after a stream's first list at which it is told again
    #[arg(long, env = "REPEAT_MILLISECONDS", value_delimiter = ',', default_value = "1000,10000")]
    repeat: Vec<u64>,
    /// Milliseconds for open connections to end after SIGTERM
    #[arg(long, env = "SHUTDOWN_GRACE_MILLISECONDS", default_value_t = 2_000)]
    shutdown_grace: u64,
    /// What the handler may hand out, as YAML or JSON; read once, at the start (docs/security.md)
    #[arg(long, env = "POLICY_FILE", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A directory below which a handler may hand out device nodes (repeatable; default /dev)
    #[arg(long, env = "ALLOW_DEVICE", value_delimiter = ',')]
    allow_device: Vec<String>,
    /// A directory below which a handler may hand out mounts (repeatable; default none)
    #[arg(long, env = "ALLOW_MOUNT", value_delimiter = ',')]
    allow_mount: Vec<String>,
    /// The form of log lines
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    /// How much is logged
    #[arg(long, env = "LOG_LEVEL", value_enum, default_value_t)]
    log_level: LogLevel,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    logging::start(args.log_format, args.log_level);
    let config = config(args)?;
    let (switch, ending) = shutdown();
    let signals = async move {
        let signal = signalled().await?;
        tracing::info!(signal, "leaving");
        switch.begin();
        // The switch has to outlive the service: its end counts as the signal, too.
        std::future::pending::<std::io::Result<()>>().await
    };
    tokio::select! {
        served = serve(config, ending, |_| ()) => Ok(served?),
        failed = signals => failed.context("cannot wait for signals"),
    }
}

fn config(args: Args) -> anyhow::Result<ServeConfig> {
    let name = match args.name.as_str() {
        AUTO | "" => None,
        name => Some(name.parse::<HandlerName>().context("DISCOVERY_HANDLER_NAME")?),
    };
    // A manifest may pass an empty status.podIP on; native handlers take that for "not set", too.
    let pod_ip = match args.pod_ip.as_deref() {
        None | Some("") => None,
        Some(text) => {
            Some(text.parse::<IpAddr>().with_context(|| format!("POD_IP {text:?} is no IP address"))?)
        }
    };
    let policy = policy(args.policy.as_deref(), &given(args.allow_device), &given(args.allow_mount))?;
    let wake_on: Vec<PathBuf> = given(args.wake_on).into_iter().map(PathBuf::from).collect();
    if wake_on.len() > MOST_WAKE_ON {
        bail!("--wake-on: {} directories, and {MOST_WAKE_ON} are the most", wake_on.len());
    }
    if let Some(path) = wake_on.iter().find(|path| !path.is_absolute()) {
        bail!("--wake-on {path:?}: give an absolute path");
    }
    let mut repeat: Vec<Duration> = args.repeat.into_iter().map(Duration::from_millis).collect();
    repeat.sort_unstable();
    Ok(ServeConfig {
        directory: args.directory,
        name,
        network: pod_ip.map(|ip| (ip, args.port)),
        exchange: args.exchange,
        wake_on,
        health: address("--health", &args.health)?,
        metrics: address("--metrics", &args.metrics)?,
        removal_grace: args.removal_grace.map(Duration::from_millis),
        first_answer: Duration::from_millis(args.first_answer),
        answer_deadline: Duration::from_millis(args.answer_deadline),
        repeat,
        shutdown_grace: Duration::from_millis(args.shutdown_grace),
        policy,
    })
}

/// From a file or from directories. Not from both: nobody could then say at a glance what is allowed.
fn policy(file: Option<&Path>, devices: &[String], mounts: &[String]) -> anyhow::Result<Policy> {
    // A manifest may give an empty variable: that is none.
    match file.filter(|path| !path.as_os_str().is_empty()) {
        Some(_) if !devices.is_empty() || !mounts.is_empty() => {
            bail!(
                "--policy says all that a handler may hand out: leave --allow-device and --allow-mount away"
            )
        }
        Some(path) => Ok(Policy::read(path)?),
        None if devices.is_empty() => {
            let device_nodes = Policy::default().device_nodes;
            let policy = Policy::of_directories(devices, mounts).context("--allow-mount")?;
            Ok(Policy { device_nodes, ..policy })
        }
        None => Policy::of_directories(devices, mounts).context("--allow-device, --allow-mount"),
    }
}

/// Likewise.
fn given(texts: Vec<String>) -> Vec<String> {
    texts.into_iter().filter(|text| !text.is_empty()).collect()
}

fn address(option: &str, text: &str) -> anyhow::Result<Option<SocketAddr>> {
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).with_context(|| format!("{option} {text:?}: give ADDRESS:PORT, or 'off'"))
}
