//! `akri-proxy status`.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use akri_exchange::{Answer, Hello, RequestId, Stopped, layout, limits};
use anyhow::{Context, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::show::{Output, table};
use crate::exchange::{Bell, ExchangeDir};
use crate::http::STATUS;
use crate::policy::Policy;
use crate::state::{Condition, HandlerState, JobState, State};

/// How long a running proxy may take to say how it is.
const ANSWER: Duration = Duration::from_secs(5);
/// The most that is read of it.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Asks the running proxy; where none answers, reads the exchange directory, which knows less.
///
/// Examples:
///   akri-proxy status
///   kubectl exec POD -c proxy -- akri-proxy status -o json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Where the proxy serves its metrics
    #[arg(long, env = "METRICS_ADDRESS", default_value = "127.0.0.1:9181")]
    address: String,
    /// The directory that handler and proxy share
    #[arg(long, env = "EXCHANGE_DIRECTORY", default_value = layout::DEFAULT_DIRECTORY)]
    exchange: PathBuf,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let asked = match args.address.parse::<SocketAddr>() {
        Ok(address) => {
            tokio::time::timeout(ANSWER, ask(address)).await.unwrap_or_else(|_| bail!("no answer"))
        }
        Err(_) => Err(anyhow::anyhow!("{} is no ADDRESS:PORT", args.address)),
    };
    let state = match asked {
        Ok(state) => state,
        Err(unreachable) => {
            let state = read(&args.exchange).with_context(|| {
                format!(
                    "no proxy answers at {} ({unreachable:#}), and the exchange directory cannot be read",
                    args.address
                )
            })?;
            eprintln!(
                "no proxy answers at {} ({unreachable:#}); this is what the exchange directory shows",
                args.address
            );
            state
        }
    };
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&state)?)?,
        Output::Table => show(&mut out, &state)?,
    }
    Ok(())
}

async fn ask(mut address: SocketAddr) -> anyhow::Result<State> {
    // The variable says where the proxy listens, which may be every address of the pod.
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get(STATUS).header("host", "localhost").body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        bail!("what listens there is no akri-proxy: {}", response.status());
    }
    let body =
        Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

/// What can be told without a proxy: who announced itself, whether it lives, what was answered.
fn read(exchange: &std::path::Path) -> anyhow::Result<State> {
    let dir = ExchangeDir::open(exchange).with_context(|| format!("{}", exchange.display()))?;
    let mut state = State::default();
    if let Some(bytes) = dir.read(dir.root(), layout::HELLO, limits::HELLO_BYTES)? {
        let hello = Hello::parse(&bytes).context(layout::HELLO)?;
        let condition = if Bell::open(&dir)?.is_some() { Condition::Alive } else { Condition::Gone };
        state.handler = HandlerState {
            condition,
            name: Some(hello.name.to_string()),
            version: Some(hello.version),
            shared: hello.shared,
            restarts: 0,
        };
    }
    let answers = match dir.folder(layout::ANSWERS) {
        // No proxy was ever here: there is nothing more to tell.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(state),
        answers => answers?,
    };
    let mut names = dir.names(&answers, limits::REQUESTS)?;
    names.sort();
    for name in names {
        let Some(id) = layout::request_id(&name) else { continue };
        let mut job = JobState { id: id.to_string(), ..JobState::default() };
        match dir.read(&answers, &name, limits::ANSWER_BYTES) {
            Ok(bytes) => count(&bytes.unwrap_or_default(), id, &mut job),
            Err(error) => job.error = Some(error.to_string().into()),
        }
        state.jobs.push(job);
    }
    Ok(state)
}

/// How many devices an answer has, or why it has none. They are counted, not kept: this runs within the proxy's limit of memory.
fn count(bytes: &[u8], id: RequestId, job: &mut JobState) {
    let mut devices = 0;
    let one_more = |_| {
        devices += 1;
        Ok::<_, Infallible>(())
    };
    match Answer::read(|| serde_json::Deserializer::from_slice(bytes), id, one_more) {
        Ok(None) => job.devices = Some(devices),
        Ok(Some(failure)) => job.error = Some(failure.to_string().into()),
        Err(Stopped::Invalid(invalid)) => job.error = Some(invalid.to_string().into()),
        Err(Stopped::Untaken(never)) => match never {},
    }
}

fn show(out: &mut impl Write, state: &State) -> std::io::Result<()> {
    let unknown = || "-".to_owned();
    let handler = &state.handler;
    let rows = [
        ("handler", handler.name.clone().unwrap_or_else(unknown)),
        ("version", handler.version.clone().unwrap_or_else(unknown)),
        ("state", handler.condition.as_str().to_owned()),
        ("restarts", handler.restarts.to_string()),
        ("shared", handler.shared.to_string()),
        ("endpoint", state.endpoint.clone().unwrap_or_else(unknown)),
        ("registered", format!("{} ({} times)", state.registration.registered, state.registration.count)),
        ("streams", format!("{} open, {} without a list yet", state.streams.open, state.streams.waiting)),
        ("jobs", state.jobs.len().to_string()),
    ];
    for (name, value) in rows {
        writeln!(out, "{name:<11} {value}")?;
    }
    if let Some(policy) = &state.policy {
        show_policy(out, policy)?;
    }
    let jobs = state.jobs.iter().map(|job| {
        let devices = job.devices.map_or_else(unknown, |devices| devices.to_string());
        [
            job.id[..12.min(job.id.len())].to_owned(),
            job.streams.to_string(),
            devices,
            job.error.as_deref().unwrap_or_default().to_owned(),
        ]
    });
    table(out, ["JOB", "STREAMS", "DEVICES", "LAST ERROR"], jobs.collect())
}

fn show_policy(out: &mut impl Write, policy: &Policy) -> std::io::Result<()> {
    let nodes = policy.device_nodes.iter().map(|rule| format!("{} ({})", rule.path, rule.permissions));
    let mounts = policy.mounts.iter().map(|rule| format!("{} ({})", rule.path, rule.access));
    let names = policy.property_names.iter().map(ToString::to_string);
    let rows = [
        ("nodes", nodes.collect()),
        ("mounts", mounts.collect()),
        ("properties", names.collect()),
        ("devices", vec![format!("at most {} a job", policy.max_devices)]),
    ];
    for (name, rules) in rows as [(&str, Vec<String>); 4] {
        let rules = if rules.is_empty() { "none".to_owned() } else { rules.join(", ") };
        writeln!(out, "allowed {name:<11} {rules}")?;
    }
    Ok(())
}
