//! The agent's double: `akri-proxy discover --watch`, which unites the endpoints of a name as the agent does. Every list
//! that differs from the one before is kept, with its time, so that a test can say that there was none.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use akri_proxy::akri::DEBUG_ECHO;
use anyhow::Context;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// The running double. It ends with this value.
pub(crate) struct Agent {
    _child: Child,
    lists: watch::Receiver<Vec<List>>,
}

/// A list of the agent's, united.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) at: SystemTime,
    pub(crate) ids: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Device {
    id: String,
}

impl Agent {
    /// Takes the agent's place in a directory.
    pub(crate) async fn start(program: &Path, directory: &Path, details: &str) -> anyhow::Result<Self> {
        Self::start_for(DEBUG_ECHO, program, directory, details).await
    }

    /// The same for the handler of another name.
    pub(crate) async fn start_for(
        name: &str,
        program: &Path,
        directory: &Path,
        details: &str,
    ) -> anyhow::Result<Self> {
        Self::discover(program, &["--name", name, "--directory"], directory, details).await
    }

    /// Opens a stream to an endpoint, without anybody's registration.
    pub(crate) async fn ask(program: &Path, endpoint: &Path, details: &str) -> anyhow::Result<Self> {
        Self::discover(program, &["--endpoint"], endpoint, details).await
    }

    async fn discover(program: &Path, options: &[&str], place: &Path, details: &str) -> anyhow::Result<Self> {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(["discover", "--watch", "--details", "-", "--output", "json"])
            .args(options)
            .arg(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        child.stdin.take().context("no stdin")?.write_all(details.as_bytes()).await?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let (sender, lists) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(text)) = lines.next_line().await {
                let line: Line = serde_json::from_str(&text).expect("discover prints a JSON object a line");
                let ids = line.devices.into_iter().map(|device| device.id).collect();
                sender.send_modify(|lists| lists.push(List { at: SystemTime::now(), ids }));
            }
        });
        Ok(Self { _child: child, lists })
    }

    /// Waits until the devices are these, from the list of this number on; its number and its time.
    pub(crate) async fn until(&self, ids: &[&str], from: usize, limit: Duration) -> (usize, SystemTime) {
        let found = |lists: &Vec<List>| {
            let mut numbered = lists.iter().enumerate().skip(from);
            numbered.find(|(_, list)| list.ids == ids).map(|(number, list)| (number, list.at))
        };
        // A copy, for what was seen is wanted also where the wait was in vain.
        let mut lists = self.lists.clone();
        let seen = tokio::time::timeout(limit, lists.wait_for(|lists| found(lists).is_some())).await;
        match seen {
            Ok(lists) => found(&lists.expect("discover lives as long as this")).expect("it was waited for"),
            Err(_) => {
                panic!("waited {limit:?} in vain for {ids:?} from list {from} on: {:?}", self.lists.borrow())
            }
        }
    }

    /// How many lists there were.
    pub(crate) fn count(&self) -> usize {
        self.lists.borrow().len()
    }

    /// That the agent saw one list, this one, and has seen no other since.
    pub(crate) fn saw_only(&self, ids: &[&str]) {
        let lists = self.lists.borrow();
        assert_eq!(lists.len(), 1, "the list changed: {lists:?}");
        assert_eq!(lists[0].ids, ids);
    }
}
