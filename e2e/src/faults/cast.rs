//! The processes: handler, proxies, agent. They are started as in a pod, without capabilities, and killed, stopped and let
//! go by signals. None outlives the campaign.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use akri_exchange::layout;
use akri_proxy::state::State;
use anyhow::{Context, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::agent::REBIND;
use super::place::Place;
use super::said::Said;

/// How long a process may take to be gone after SIGKILL, and an engine to show itself.
const SOON: Duration = Duration::from_secs(10);

/// Where the programs are, as the command line says it.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgramArgs {
    /// The program akri-proxy
    #[arg(long)]
    proxy: PathBuf,
    /// The handler's module: debugEcho
    #[arg(long)]
    module: PathBuf,
    /// WasmEdge's command line: the project's scripts/wasmedge
    #[arg(long)]
    wasmedge: PathBuf,
}

impl ProgramArgs {
    /// The programs, the engine looked for.
    pub(super) async fn find(self) -> anyhow::Result<Programs> {
        let engine = engine(&self.wasmedge).await.context("the engine")?;
        Ok(Programs { proxy: self.proxy, module: self.module, engine })
    }
}

/// What is run.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) proxy: PathBuf,
    pub(super) module: PathBuf,
    /// The engine's command line, up to its arguments.
    pub(super) engine: Vec<OsString>,
}

/// A process, and what is done to it.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) name: String,
    child: Child,
    pub(super) started: Instant,
    /// Whether it gets no more memory, or may still end because it did not.
    pub(super) starved: bool,
    log: PathBuf,
}

/// The agent, and what it says.
#[derive(Debug)]
pub(super) struct AgentActor {
    pub(super) actor: Actor,
    orders: tokio::process::ChildStdin,
    pub(super) said: mpsc::UnboundedReceiver<Said>,
}

/// The command line that a script becomes which looks for the engine: it is asked once, for each start of a handler would
/// otherwise be that of a shell, too.
async fn engine(script: &Path) -> anyhow::Result<Vec<OsString>> {
    // A module that is not there: what counts is what is run, and that is read before it can end.
    let folder = tempfile::tempdir()?;
    let fifo = folder.path().join("waits.wasm");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0)?;
    let mut child = Command::new(script)
        .arg(&fifo)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", script.display()))?;
    let pid = child.id().context("the engine has ended")?;
    let began = Instant::now();
    // A shell has the script's name in its command line; what it becomes has not.
    let words = loop {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline"))?;
        let words: Vec<OsString> = bytes
            .split(|&byte| byte == 0)
            .filter(|word| !word.is_empty())
            .map(|word| OsString::from_vec(word.to_vec()))
            .collect();
        let is_script = words.iter().any(|word| word == script.as_os_str());
        if !is_script && words.last().is_some_and(|last| last == fifo.as_os_str()) {
            break words;
        }
        if began.elapsed() > SOON * 30 || child.try_wait()?.is_some() {
            bail!("{} runs no engine", script.display());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    child.kill().await?;
    Ok(words[..words.len() - 1].to_vec())
}

/// A program that ends with this one, and has no more rights than in a pod: a mode that forbids something holds for it.
fn confined(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if rustix::process::geteuid().is_root() {
        command.args(["--bounding-set", "-all", "--inh-caps", "-all"]);
    }
    command.arg(program);
    command
}

impl Actor {
    fn start(name: &str, command: &mut Command, place: &Place) -> anyhow::Result<Self> {
        let log = place.folder().join(format!("{name}.log"));
        let file = File::options().append(true).create(true).open(&log)?;
        if command.as_std().get_program() == "setpriv" {
            command.stderr(file);
        }
        let child = command.kill_on_drop(true).spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, started: Instant::now(), starved: false, log })
    }

    /// The handler under the engine, with the place's root as its own, and with these variables besides.
    pub(super) fn handler(
        programs: &Programs,
        place: &Place,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut command = confined(&programs.engine[0]);
        command.args(&programs.engine[1..]);
        command.arg("--dir").arg(format!("/:{}", place.root().display()));
        command.arg("--env").arg(format!("EXCHANGE_DIRECTORY={}", layout::DEFAULT_DIRECTORY));
        for (name, value) in variables {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        command.arg(&programs.module).stdin(Stdio::null()).stdout(Stdio::null());
        Self::start("handler", &mut command, place)
    }

    /// A proxy that serves its state at a port.
    pub(super) fn proxy(
        programs: &Programs,
        place: &Place,
        number: usize,
        port: u16,
    ) -> anyhow::Result<Self> {
        let mut command = confined(&programs.proxy);
        command.arg("serve").arg("--directory").arg(place.akri()).arg("--exchange").arg(place.exchange());
        command.args(["--health", "off", "--metrics", &format!("127.0.0.1:{port}")]);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        Self::start(&format!("proxy-{number}"), &mut command, place)
    }

    /// Its process id; 0 when it is gone, which is nobody's.
    pub(super) fn pid(&self) -> i32 {
        self.child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default()
    }

    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.pid()).with_context(|| format!("{} is gone", self.name))?;
        kill_process(pid, signal).with_context(|| format!("{signal:?} to {}", self.name))
    }

    /// Kills it and waits until it is gone.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        tokio::time::timeout(SOON, self.child.kill()).await.context("it does not die")??;
        Ok(())
    }

    /// Whether it ended by itself; with how.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<String>> {
        Ok(self.child.try_wait()?.map(|status| status.to_string()))
    }

    /// Lets it have no more descriptors than it has open, or, with `None`, as many as before.
    pub(super) fn limit_descriptors(&self, most: Option<u64>) -> anyhow::Result<()> {
        self.limit(Resource::Nofile, most)
    }

    /// Lets it map no more memory than it has.
    pub(super) fn starve(&mut self) -> anyhow::Result<()> {
        self.starved = true;
        let process = crate::process::Process::new(Path::new("/proc"), self.pid().unsigned_abs());
        self.limit(Resource::As, Some(process.mapped()?))
    }

    /// Again as much as before. It may be ending already: whether it is [`starved`](Self::starved) is left to who sees that.
    pub(super) fn feed(&self) -> anyhow::Result<()> {
        self.limit(Resource::As, None)
    }

    fn limit(&self, resource: Resource, most: Option<u64>) -> anyhow::Result<()> {
        let own = rustix::process::getrlimit(resource);
        let limit = Rlimit { current: most.or(own.current), maximum: own.maximum };
        let pid = Pid::from_raw(self.pid()).with_context(|| format!("{} is gone", self.name))?;
        prlimit(Some(pid), resource, limit).with_context(|| format!("cannot limit {}", self.name))?;
        Ok(())
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.pid().to_string()).join(file)
    }

    /// How many descriptors are open.
    pub(super) fn descriptors(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(self.proc("fd"))?.count())
    }

    /// How many are open of each kind: what comes before a number, such as `socket:`, or a path.
    pub(super) fn descriptor_kinds(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut kinds = BTreeMap::new();
        for entry in std::fs::read_dir(self.proc("fd"))? {
            // One that was closed meanwhile does not count.
            let Ok(target) = std::fs::read_link(entry?.path()) else { continue };
            let target = target.display().to_string();
            let kind = match target.split_once(":[") {
                Some((kind, number)) if number.starts_with(|c: char| c.is_ascii_digit()) => kind.to_owned(),
                // Which of several proxies has which number may change.
                _ => target.replace(|c: char| c.is_ascii_digit(), "#"),
            };
            *kinds.entry(kind).or_default() += 1;
        }
        Ok(kinds)
    }

    /// Watches of all its inotify instances.
    pub(super) fn watches(&self) -> anyhow::Result<usize> {
        let mut count = 0;
        for entry in std::fs::read_dir(self.proc("fdinfo"))? {
            // One that was closed meanwhile watches nothing.
            let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
            count += text.lines().filter(|line| line.starts_with("inotify wd:")).count();
        }
        Ok(count)
    }

    /// Resident memory in bytes.
    pub(super) fn rss(&self) -> u64 {
        let pid = self.child.id().unwrap_or_default();
        crate::process::Process::new(Path::new("/proc"), pid).rss().unwrap_or_default()
    }

    /// The last lines of its log.
    pub(super) fn tail(&self) -> String {
        crate::stage::tail(&self.log)
    }
}

impl AgentActor {
    pub(super) fn start(place: &Place, details: &[String]) -> anyhow::Result<Self> {
        let mut command = confined(std::env::current_exe()?);
        command.arg("agent").arg("--directory").arg(place.akri());
        for text in details {
            command.arg("--details").arg(text);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut actor = Actor::start("agent", &mut command, place)?;
        let orders = actor.child.stdin.take().context("the agent has no input")?;
        let output = actor.child.stdout.take().context("the agent has no output")?;
        let (sender, said) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // The last line of one that was killed may be cut off.
                let Ok(said) = serde_json::from_str(&line) else { continue };
                if sender.send(said).is_err() {
                    return;
                }
            }
        });
        Ok(Self { actor, orders, said })
    }

    /// Has it make its socket anew.
    pub(super) async fn rebind(&mut self) -> anyhow::Result<()> {
        self.orders.write_all(format!("{REBIND}\n").as_bytes()).await?;
        Ok(self.orders.flush().await?)
    }
}

/// What a proxy says of itself.
pub(super) async fn status(port: u16) -> anyhow::Result<State> {
    let asked = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        let (_, body) = response.split_once("\r\n\r\n").context("no HTTP response")?;
        Ok(serde_json::from_str(body)?)
    };
    tokio::time::timeout(SOON, asked).await.context("the proxy does not say how it is")?
}
