//! The arguments that say which node it is, and what may be done there.

use std::path::PathBuf;

use anyhow::Context;
use wasm_node::facts::Restart;
use wasm_node::handler::HandlerName;
use wasm_node::invocation::Invocation;
use wasm_node::options::{KernelSettings, Options, Packages};
use wasm_node::system::{Fate, Live, Spared};
use wasm_node::trial::clear_left;

/// Which node, and what is its own there.
#[derive(clap::Args)]
pub(crate) struct Node {
    /// A root folder; with anything but / nothing is restarted, and programs are run by chroot
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,

    /// The runtime handler's name, as a RuntimeClass has it
    #[arg(long, value_name = "NAME", default_value_t)]
    handler: HandlerName,

    /// containerd's configuration, where it is not found by itself
    #[arg(long, value_name = "FILE")]
    containerd_config: Option<PathBuf>,

    /// How containerd is restarted where systemd does not: a command with its arguments, separated by spaces
    #[arg(long, value_name = "COMMAND")]
    restart_command: Option<String>,
}

/// What may be done.
#[derive(clap::Args)]
pub(crate) struct Allowed {
    /// Install nothing
    #[arg(long, conflicts_with = "from_trixie")]
    no_packages: bool,

    /// On Debian 12: take crun and WasmEdge, and what they need (libc6 and base-files, too), from Debian 13
    #[arg(long)]
    from_trixie: bool,

    /// Kernel modules and settings for a pod network: where there is a kubelet, always, never
    #[arg(long, value_enum, default_value_t)]
    kernel: Kernel,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Kernel {
    #[default]
    WhereNeeded,
    Always,
    Never,
}

impl Node {
    /// The node's door.
    pub(crate) fn open(&self) -> anyhow::Result<Live> {
        Live::open(&self.root, fate()?)
            .with_context(|| format!("cannot open the root {}", self.root.display()))
    }

    /// What is asked for.
    pub(crate) fn options(&self, allowed: &Allowed) -> Options {
        let packages = match allowed {
            Allowed { no_packages: true, .. } => Packages::Never,
            Allowed { from_trixie: true, .. } => Packages::FromTrixie,
            _ => Packages::Distribution,
        };
        let kernel = match allowed.kernel {
            Kernel::WhereNeeded => KernelSettings::WhereNeeded,
            Kernel::Always => KernelSettings::Always,
            Kernel::Never => KernelSettings::Never,
        };
        Options { packages, kernel, ..self.bare_options() }
    }

    /// What is asked for where nothing is installed.
    pub(crate) fn bare_options(&self) -> Options {
        let words: Vec<&str> = self.restart_command.iter().flat_map(|text| text.split_whitespace()).collect();
        let restart = words
            .split_first()
            .map(|(program, arguments)| Restart::Command(Invocation::look(*program, arguments)));
        Options {
            handler: self.handler.clone(),
            containerd_config: self.containerd_config.clone(),
            restart,
            packages: Packages::Never,
            kernel: KernelSettings::Never,
        }
    }
}

/// Removes what a killed trial left. It is another's work that failed, so this one's result does not hang on it.
pub(crate) fn clear(system: &Live, options: &Options) {
    match clear_left(system, options) {
        Ok(0) => {}
        Ok(count) => eprintln!("==> removed {count} pods and images that a killed doctor left"),
        Err(error) => eprintln!("warning: a killed doctor may have left something: {error}"),
    }
}

/// Every change happens, but in a build for tests.
fn fate() -> anyhow::Result<Box<dyn Fate>> {
    #[cfg(feature = "kill-points")]
    if let Some(change) = std::env::var_os("WASM_NODE_KILL_AT") {
        let change = change.to_string_lossy().parse().context("WASM_NODE_KILL_AT is no number")?;
        return Ok(Box::new(wasm_node::system::KilledAt { change, seen: 0.into() }));
    }
    Ok(Box::new(Spared))
}
