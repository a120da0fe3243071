//! The two sides that the proxy stands between, and the proxy itself, in a place of their own.

mod agent;
mod handler;
mod process;
mod proxy;

pub use agent::{Agent, Lists, discover, try_discover};
pub use handler::{Script, answer_bytes};
pub use process::{Process, native_handler, program};
pub use proxy::{Proxy, config};

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than anything takes that works; reached only by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long a test watches for something that must not happen.
pub const SILENCE: Duration = Duration::from_millis(300);

/// The two directories.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::create_dir(folder.path().join("x")).unwrap();
        Self { folder }
    }

    /// Akri's directory.
    pub fn akri(&self) -> PathBuf {
        self.folder.path().join("a")
    }

    /// The exchange directory.
    pub fn exchange(&self) -> PathBuf {
        self.folder.path().join("x")
    }
}

/// Waits until something holds, by looking again and again: for files, which tests cannot await otherwise.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Waits for something that has to come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// The requests that stand in an exchange, by proxy folder.
pub fn requests(exchange: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(exchange.join("requests")).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).into_iter().flatten());
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    paths
}
