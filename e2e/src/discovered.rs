//! What a handler hands out, asked once as another agent would ask, and what Akri makes of it for a broker.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A device, as `akri-proxy discover -o json` shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Discovered {
    /// Its id.
    pub id: String,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
    /// Its device nodes.
    pub device_specs: Vec<DeviceSpec>,
}

/// A device node.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceSpec {
    /// Where the broker finds it.
    pub container_path: String,
    /// Where it is on the node.
    pub host_path: String,
    /// What the broker may do with it.
    pub permissions: String,
}

#[derive(Deserialize)]
struct Line {
    devices: Vec<Discovered>,
}

impl Discovered {
    /// A broker's variables: each property by its name, and by its name with the end of the Instance's.
    pub fn variables(&self, hash: &str) -> impl Iterator<Item = (String, String)> {
        self.properties.iter().flat_map(move |(name, value)| {
            [name.clone(), format!("{name}_{hash}")].map(|name| (name, value.clone()))
        })
    }
}

/// The only device for these details.
///
/// # Errors
/// Where the handler refuses, or has none or several.
pub async fn discovered(program: &Path, endpoint: &Path, details: &str) -> anyhow::Result<Discovered> {
    let mut child = Command::new(program)
        .args(["discover", "--details", "-", "--output", "json", "--endpoint"])
        .arg(endpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    child.stdin.take().context("stdin is not piped")?.write_all(details.as_bytes()).await?;
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("discover ended with {}", output.status);
    }
    let line: Line = serde_json::from_slice(&output.stdout).context("discover prints a JSON object")?;
    match <[Discovered; 1]>::try_from(line.devices) {
        Ok([device]) => Ok(device),
        Err(other) => bail!("there should be one device, and there are {other:?}"),
    }
}
