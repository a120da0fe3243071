//! `akri-proxy discover --watch`, read line by line: what Akri's agent would see.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;

use crate::process::Program;
use crate::say::Say;

/// Lines that wait to be read here.
const WAITING: usize = 256;
/// Until it has ended after SIGTERM.
const ENDING: Duration = Duration::from_secs(5);

/// The running program. It ends with this value.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    lines: mpsc::Receiver<Line>,
    say: Say,
    lists: Lists,
    registrations: usize,
    started: Instant,
    first_list: Option<Instant>,
}

#[derive(Debug)]
enum Line {
    /// Standard output: lists.
    Out(String),
    /// Standard error: notes.
    Note(String),
}

/// Reads lists as `-o table` prints them: a line with the time and the number, a heading, a line for each device.
#[derive(Debug, Default)]
struct Lists {
    current: Option<Vec<String>>,
    awaited: usize,
    heading: bool,
    rows: Vec<String>,
}

impl Watch {
    /// Starts it on Akri's directory.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn start(
        program: &Program,
        directory: &Path,
        name: &str,
        details: &str,
        say: Say,
    ) -> anyhow::Result<Self> {
        let mut child = program
            .tied()
            .args(["discover", "--watch", "--name", name, "--details", "-", "--directory"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", program.file.display()))?;
        let mut stdin = child.stdin.take().context("stdin is not piped")?;
        stdin.write_all(details.as_bytes()).await.context("discover does not take its details")?;
        drop(stdin);
        let (sender, lines) = mpsc::channel(WAITING);
        forward(child.stdout.take().context("stdout is not piped")?, sender.clone(), Line::Out);
        forward(child.stderr.take().context("stderr is not piped")?, sender, Line::Note);
        Ok(Self {
            child,
            lines,
            say,
            lists: Lists::default(),
            registrations: 0,
            started: Instant::now(),
            first_list: None,
        })
    }

    /// Waits until the devices are these.
    ///
    /// # Errors
    /// Where they are not in time, or the stream ends.
    pub async fn until(&mut self, ids: &[&str], limit: Duration) -> anyhow::Result<()> {
        let reading = async {
            while self.lists.current.as_deref().is_none_or(|current| current != ids) {
                let line = self.lines.recv().await.context("discover has ended")?;
                self.take(line)?;
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(limit, reading).await {
            Ok(read) => read,
            Err(_) => bail!(
                "waited {} s in vain for {ids:?}; the devices are {:?}",
                limit.as_secs(),
                self.lists.current
            ),
        }
    }

    /// Reads what there is, and checks that in all of it the devices are these.
    ///
    /// # Errors
    /// Where anything else happened.
    pub fn steady(&mut self, ids: &[&str]) -> anyhow::Result<()> {
        while let Ok(line) = self.lines.try_recv() {
            self.take(line)?;
            if self.lists.current.as_deref().is_some_and(|current| current != ids) {
                bail!("the devices should have stayed {ids:?}, and became {:?}", self.lists.current);
            }
        }
        match self.child.try_wait()? {
            Some(status) => bail!("discover has ended ({status})"),
            None => Ok(()),
        }
    }

    /// How often the handler has registered.
    pub fn registrations(&self) -> usize {
        self.registrations
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// When the first list came.
    pub fn first_list(&self) -> Option<Instant> {
        self.first_list
    }

    /// Ends it, as Ctrl-C does.
    ///
    /// # Errors
    /// Where it does not end well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        rustix::process::kill_process(id.context("discover has ended")?, rustix::process::Signal::INT)?;
        let status =
            tokio::time::timeout(ENDING, self.child.wait()).await.context("discover does not end")??;
        if !status.success() {
            bail!("discover ended with {status}");
        }
        Ok(())
    }

    fn take(&mut self, line: Line) -> anyhow::Result<()> {
        match line {
            Line::Out(text) => {
                self.say.detail(format_args!("discover | {text}"));
                self.lists.take(&text);
                if self.lists.current.is_some() {
                    self.first_list.get_or_insert_with(Instant::now);
                }
            }
            Line::Note(text) => {
                self.say.detail(format_args!("discover | {text}"));
                if text.contains(" registered at ") {
                    self.registrations += 1;
                } else if !text.contains("waiting for handler") {
                    bail!("the stream should have lived on; discover says: {text}");
                }
            }
        }
        Ok(())
    }
}

impl Lists {
    fn take(&mut self, line: &str) {
        if let Some((_, count)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
            self.rows.clear();
            // "no devices", "1 device", "2 devices"
            self.awaited = count.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
            self.heading = self.awaited > 0;
        } else if self.heading {
            self.heading = false;
        } else {
            self.rows.extend(line.split_whitespace().next().map(str::to_owned));
        }
        if !self.heading && self.rows.len() == self.awaited {
            self.current = Some(self.rows.clone());
        }
    }
}

fn forward(
    from: impl AsyncRead + Unpin + Send + 'static,
    to: mpsc::Sender<Line>,
    kind: impl Fn(String) -> Line + Send + 'static,
) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if to.send(kind(line)).await.is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let mut lists = Lists::default();
        let mut after = |line: &str| {
            lists.take(line);
            lists.current.clone()
        };
        assert_eq!(after("[   0.100 s] 2 devices"), None);
        assert_eq!(after("  ID    PROPERTIES"), None);
        assert_eq!(after("  foo0  DEBUG_ECHO_DESCRIPTION=foo0"), None);
        let both = Some(vec!["foo0".to_owned(), "foo1".to_owned()]);
        assert_eq!(after("  foo1  DEBUG_ECHO_DESCRIPTION=foo1"), both);
        // The old list stands until the new one is complete.
        assert_eq!(after("[   0.200 s] 1 device"), both);
        assert_eq!(after("  ID  PROPERTIES"), both);
        assert_eq!(after("  foo1  X=y"), Some(vec!["foo1".to_owned()]));
        assert_eq!(after("[   0.300 s] no devices"), Some(vec![]));
    }
}
