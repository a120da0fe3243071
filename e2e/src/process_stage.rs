//! The story without a node: the same handler under the `wasmedge` command and the same proxy, as two processes.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use akri_exchange::layout;
use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::manifest::DaemonSet;
use crate::process::{Process, Program};
use crate::say::ms;
use crate::stage::{Part, Stage, tail};

/// Two processes and a temporary directory, which all end with this value.
#[derive(Debug)]
pub struct ProcessStage {
    programs: Programs,
    set: DaemonSet,
    engine: Vec<String>,
    handler: Option<Child>,
    proxy: Option<Child>,
    metrics: String,
    folder: TempDir,
    akri: PathBuf,
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `scripts/wasmedge`, or one like it.
    pub wasmedge: PathBuf,
    /// `akri-proxy`.
    pub proxy: Program,
    /// The handler's module.
    pub module: PathBuf,
}

impl ProcessStage {
    /// A stage on which nothing runs yet.
    ///
    /// # Errors
    /// Where no temporary directory can be made.
    pub fn new(programs: Programs) -> anyhow::Result<Self> {
        Self::of(programs, DaemonSet::ours()?, Vec::new())
    }

    /// The same for another DaemonSet than debugEcho's, and with further arguments of the engine.
    ///
    /// # Errors
    /// Where no temporary directory can be made.
    pub fn of(programs: Programs, set: DaemonSet, engine: Vec<String>) -> anyhow::Result<Self> {
        for program in [&programs.proxy.file, &programs.module] {
            ensure!(program.is_file(), "{} is not there: build it with `make image`", program.display());
        }
        let folder =
            tempfile::Builder::new().prefix("akri-wasm-").tempdir().context("no temporary directory")?;
        let akri = folder.path().join("akri");
        std::fs::create_dir(&akri)?;
        // A port that is free now; the proxy's `status` has to know it.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let stage = Self {
            programs,
            set,
            engine,
            handler: None,
            proxy: None,
            metrics: format!("127.0.0.1:{port}"),
            folder,
            akri,
        };
        std::fs::create_dir_all(stage.exchange()?)?;
        Ok(stage)
    }

    /// The engine's version; fetches it where it is not there yet.
    ///
    /// # Errors
    /// Where it cannot be had.
    pub async fn engine(&self) -> anyhow::Result<String> {
        let output =
            Command::new(&self.programs.wasmedge).arg("--version").stderr(Stdio::inherit()).output().await;
        let output = output.with_context(|| format!("cannot run {}", self.programs.wasmedge.display()))?;
        ensure!(output.status.success(), "{} failed: see above", self.programs.wasmedge.display());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts a part.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(&mut self, part: Part) -> anyhow::Result<()> {
        let container = self.set.spec.template.spec.container(part.name());
        let container =
            container.with_context(|| format!("the DaemonSet has no container {}", part.name()))?;
        let mut command = match part {
            Part::Handler => {
                // As crun does: the container's root is the module's, and only that.
                let mut command = Program::from(self.programs.wasmedge.clone()).tied();
                command.args(&self.engine).arg("--dir").arg(format!("/:{}", self.root().display()));
                for env in &container.env {
                    command.arg("--env").arg(format!("{}={}", env.name, env.value));
                }
                command.arg(&self.programs.module);
                command
            }
            Part::Proxy => {
                let mut command = self.programs.proxy.tied();
                command.args(&container.args).envs(container.env.iter().map(|env| (&env.name, &env.value)));
                command.args(["--health", "off", "--metrics", &self.metrics]);
                command.arg("--directory").arg(&self.akri).arg("--exchange").arg(self.exchange()?);
                command
            }
        };
        let log = File::options().append(true).create(true).open(self.log(part))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start the {}", part.name()))?;
        *self.child_mut(part) = Some(child);
        Ok(())
    }

    /// The root of the handler's file system.
    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn log(&self, part: Part) -> PathBuf {
        self.folder.path().join(format!("{}.log", part.name()))
    }

    fn child_mut(&mut self, part: Part) -> &mut Option<Child> {
        match part {
            Part::Handler => &mut self.handler,
            Part::Proxy => &mut self.proxy,
        }
    }

    fn pid(&mut self, part: Part) -> anyhow::Result<u32> {
        let child = self.child_mut(part).as_ref();
        child.and_then(Child::id).with_context(|| format!("the {} does not run", part.name()))
    }

    async fn ended(&mut self, part: Part, limit: Duration) -> anyhow::Result<std::process::ExitStatus> {
        let mut child =
            self.child_mut(part).take().with_context(|| format!("the {} does not run", part.name()))?;
        let waited = tokio::time::timeout(limit, child.wait()).await;
        Ok(waited.with_context(|| format!("the {} does not end", part.name()))??)
    }
}

impl Stage for ProcessStage {
    fn akri(&self) -> &Path {
        &self.akri
    }

    fn exchange(&self) -> anyhow::Result<PathBuf> {
        Ok(self.root().join(layout::DEFAULT_DIRECTORY.trim_start_matches('/')))
    }

    fn place(&self) -> &'static str {
        ""
    }

    async fn proxy(&mut self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self
            .programs
            .proxy
            .command()
            .args(arguments)
            .env("EXCHANGE_DIRECTORY", self.exchange()?)
            .env("METRICS_ADDRESS", &self.metrics)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        if !output.status.success() {
            bail!(
                "akri-proxy {} failed: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn kill_handler(&mut self) -> anyhow::Result<String> {
        let pid = self.pid(Part::Handler)?;
        kill_process(as_pid(pid)?, Signal::KILL)?;
        let status = self.ended(Part::Handler, Duration::from_secs(5)).await?;
        Ok(format!("kill -KILL {pid}: {status}"))
    }

    async fn start_handler(&mut self) -> anyhow::Result<String> {
        self.start(Part::Handler)?;
        Ok(format!("process {}", self.pid(Part::Handler)?))
    }

    async fn process(&mut self, part: Part) -> anyhow::Result<Process> {
        Ok(Process::new(Path::new("/proc"), self.pid(part)?))
    }

    async fn charged(&mut self, _: Part) -> anyhow::Result<Option<(u64, u64)>> {
        Ok(None)
    }

    async fn leave(&mut self) -> anyhow::Result<String> {
        let grace = Duration::from_secs(self.set.spec.template.spec.termination_grace_period_seconds.into());
        let began = Instant::now();
        kill_process(as_pid(self.pid(Part::Proxy)?)?, Signal::TERM)?;
        let proxy = self.ended(Part::Proxy, grace).await?;
        let handler = self.ended(Part::Handler, grace).await?;
        ensure!(proxy.success() && handler.success(), "proxy: {proxy}, handler: {handler}");
        Ok(format!("SIGTERM for the proxy: both have ended with 0 after {}", ms(began.elapsed())))
    }

    fn said(&self, part: Part) -> String {
        tail(&self.log(part))
    }
}

fn as_pid(pid: u32) -> anyhow::Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).context("no PID")
}
