//! From `crun run` to ready, of the same handler in three forms: until its announcement is in the exchange.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use akri_exchange::{Wake, layout};
use anyhow::{Context, ensure};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::{Args, LIMIT};
use crate::measure::median;
use crate::node::Node;
use crate::say::{Say, ms};
use crate::wait;
use crate::{VARIANT, VARIANT_ANNOTATION};

/// Starts of each form; odd, so that there is a middle one.
const STARTS: usize = 15;
/// Folder of the share.
const FOLDER: &str = "starts";
/// Reads the command of a start, runs it to its end, and says how it ended.
const RUNS: &str =
    r#"while read -r line; do $line </dev/null >/dev/null 2>>/share/starts/log; echo "$?"; done"#;

/// Takes the figures and prints them.
pub(super) async fn measure(args: &Args, node: &Node, say: &Say) -> anyhow::Result<()> {
    say.step(format_args!("crun run to ready, {STARTS} times each"));
    let folder = node.share().join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let spec = node.exec(&["sh", "-ec", "cd \"$(mktemp -d)\" && crun spec && cat config.json"]).await?;
    let spec: Value = serde_json::from_str(&spec).context("crun spec")?;
    let mut shell = Shell::start(node)?;
    let mut rows = Vec::new();
    let forms = [("wasm", &args.module), ("wasm, AOT", &args.compiled), ("native, static", &args.native)];
    for (number, (form, program)) in forms.into_iter().enumerate() {
        let bundle = Bundle::make(&folder.join(number.to_string()), program, spec.clone())?;
        let inside = format!("{}/{FOLDER}/{number}", Node::SHARE);
        let crun = format!("crun --cgroup-manager=cgroupfs run --bundle {inside} start-{number}");
        rows.push(row(format!("crun run: {form}"), bundle.times(&mut shell, &crun).await?));
        if number + 1 == forms.len() {
            let bare = format!("env EXCHANGE_DIRECTORY={inside}/exchange {inside}/rootfs/{}", bundle.program);
            rows.push(row("without crun: native, static".to_owned(), bundle.times(&mut shell, &bare).await?));
        }
    }
    say.table(["START", "N", "MEDIAN", "LEAST", "95 %"], &rows);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn row(what: String, mut times: Vec<Duration>) -> [String; 5] {
    let middle = median(&mut times);
    let at = |share: usize| ms(times[(times.len() - 1) * share / 100]);
    [what, times.len().to_string(), ms(middle), at(0), at(95)]
}

/// A shell inside the node, which is there already when a start begins.
struct Shell {
    commands: ChildStdin,
    ends: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Shell {
    fn start(node: &Node) -> anyhow::Result<Self> {
        let mut process =
            node.command(&["sh", "-c", RUNS]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let commands = process.stdin.take().context("the shell's input is not piped")?;
        let ends = BufReader::new(process.stdout.take().context("the shell's output is not piped")?).lines();
        Ok(Self { commands, ends, _process: process })
    }
}

/// What crun runs, and an exchange.
struct Bundle {
    folder: PathBuf,
    program: String,
}

impl Bundle {
    fn make(folder: &Path, program: &Path, mut spec: Value) -> anyhow::Result<Self> {
        let name = program.file_name().and_then(|name| name.to_str()).context("a program without a name")?;
        let (root, exchange) = (folder.join("rootfs"), folder.join("exchange"));
        for folder in [&root, &root.join("exchange"), &exchange] {
            std::fs::create_dir_all(folder)?;
        }
        for part in [layout::REQUESTS, layout::ANSWERS, layout::INPUTS] {
            std::fs::create_dir(exchange.join(part))?;
        }
        mknodat(CWD, exchange.join(layout::WAKE), FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        std::fs::copy(program, root.join(name))
            .with_context(|| format!("cannot read {}: build it first", program.display()))?;
        std::fs::set_permissions(root.join(name), std::fs::Permissions::from_mode(0o755))?;
        spec["process"]["args"] = json!([format!("/{name}")]);
        spec["process"]["terminal"] = json!(false);
        spec["process"]["env"] = json!(["EXCHANGE_DIRECTORY=/exchange"]);
        spec["root"] = json!({ "path": "rootfs", "readonly": true });
        spec["annotations"] = json!({ VARIANT_ANNOTATION: VARIANT });
        let mounts = spec["mounts"].as_array_mut().context("crun's spec has no mounts")?;
        mounts.retain(|mount| mount["type"] != "cgroup");
        let source =
            format!("{}/{FOLDER}/{}/exchange", Node::SHARE, folder.file_name().unwrap_or_default().display());
        mounts.push(json!({ "destination": "/exchange", "type": "bind", "source": source, "options": ["rbind", "rw"] }));
        File::create(folder.join("config.json"))?.write_all(&serde_json::to_vec_pretty(&spec)?)?;
        Ok(Self { folder: folder.to_owned(), program: name.to_owned() })
    }

    async fn times(&self, shell: &mut Shell, command: &str) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        // One more than is measured: the first one finds nothing in the page cache.
        for _ in 0..=STARTS {
            times.push(self.start(shell, command).await.with_context(|| self.said(command))?);
        }
        times.remove(0);
        Ok(times)
    }

    /// Starts it, waits for its announcement, and ends it.
    async fn start(&self, shell: &mut Shell, command: &str) -> anyhow::Result<Duration> {
        let exchange = self.folder.join("exchange");
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&events, &exchange, WatchFlags::MOVED_TO)?;
        // SAFETY: an `OwnedFd` is open, always the same descriptor, and closed only when the `AsyncFd` drops it.
        let events = unsafe { tokio::io::unix::AsyncFd::register(events) }.map_err(std::io::Error::from)?;
        let began = Instant::now();
        shell.commands.write_all(format!("{command}\n").as_bytes()).await?;
        let hello = exchange.join(layout::HELLO);
        let announced = async {
            loop {
                let mut guard = events.readable().await?;
                if hello.exists() {
                    return anyhow::Ok(());
                }
                let mut buffer = [0; 1024];
                // What came is of no interest but for its time.
                let _ = guard.try_io(|events| Ok(rustix::io::read(events.get_ref(), &mut buffer)?));
            }
        };
        let ended = async {
            let code = shell.ends.next_line().await?.context("the node's shell has ended")?;
            anyhow::bail!("it has ended with {code} before it was ready")
        };
        let ready = async {
            tokio::select! { ready = announced => ready, ended = ended => ended }
        };
        tokio::time::timeout(LIMIT, ready).await.context("it is not ready in time")??;
        let took = began.elapsed();
        File::create(exchange.join(layout::STOP))?;
        let fifo = open(exchange.join(layout::WAKE), OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty())?;
        rustix::io::write(&fifo, &[Wake::Requests.byte()])?;
        let code = tokio::time::timeout(LIMIT, shell.ends.next_line()).await.context("it does not end")??;
        ensure!(code.as_deref() == Some("0"), "it has ended with {code:?}");
        wait::until("the announcement is gone", LIMIT, async || Ok((!hello.exists()).then_some(()))).await?;
        Ok(took)
    }

    fn said(&self, command: &str) -> String {
        let log = self.folder.with_file_name("log");
        format!("{command}: {}", std::fs::read_to_string(log).unwrap_or_default().trim())
    }
}
