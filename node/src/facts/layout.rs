//! Whose containerd it is, and where that one keeps what.

use std::path::{Path, PathBuf};

use crate::invocation::Invocation;
use crate::spec;
use crate::system::Tree;

/// Who brings containerd along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The distribution, or the person.
    Plain,
    /// k3s, which makes containerd's configuration anew at each start.
    K3s,
    /// RKE2, as k3s.
    Rke2,
    /// MicroK8s, which fills in a template.
    MicroK8s,
}

/// Which file is ours to change, and how.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "how", content = "path")]
pub enum Edit {
    /// A block in containerd's own file.
    Main(PathBuf),
    /// A file of our own in a folder that containerd imports.
    DropIn(PathBuf),
    /// A block in a template from which the file is made.
    Template(PathBuf),
}

/// How containerd is told to read its configuration anew.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "by", content = "command")]
pub enum Restart {
    /// systemd restarts this unit.
    Unit(String),
    /// A command does it.
    Command(Invocation),
    /// A person has to.
    Person,
}

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Layout {
    /// Whose it is.
    pub kind: Kind,
    /// The file that containerd reads.
    pub config: PathBuf,
    /// Its socket.
    pub socket: PathBuf,
    /// The program, where it can be asked for its version and configuration.
    pub containerd: Option<String>,
    /// Its client: program and first arguments.
    pub ctr: Vec<String>,
    /// Where files go that the configuration refers to.
    pub folder: PathBuf,
    /// How it is restarted.
    pub restart: Restart,
}

impl Layout {
    pub(crate) fn detect(tree: &Tree, config: Option<&Path>, restart: Option<&Restart>) -> Self {
        let rancher = |name: &str| PathBuf::from(format!("/var/lib/rancher/{name}/agent/etc/containerd"));
        let mut layout = if tree.exists(&rancher("k3s")) {
            Self::rancher(tree, Kind::K3s, "k3s", &["k3s", "k3s-agent"], rancher("k3s"))
        } else if tree.exists(&rancher("rke2")) {
            Self::rancher(tree, Kind::Rke2, "rke2", &["rke2-server", "rke2-agent"], rancher("rke2"))
        } else if tree.exists(Path::new(MICROK8S_ARGS)) {
            Self::microk8s()
        } else {
            Self::plain(tree)
        };
        if let Some(config) = config {
            layout.folder = config.parent().unwrap_or(Path::new("/")).to_owned();
            layout.config = config.to_owned();
        }
        if let Some(restart) = restart {
            layout.restart = restart.clone();
        }
        layout
    }

    fn plain(tree: &Tree) -> Self {
        let config = unit_config(tree).unwrap_or_else(|| spec::CONTAINERD_CONFIG.into());
        Self {
            kind: Kind::Plain,
            folder: config.parent().unwrap_or(Path::new("/")).to_owned(),
            config,
            socket: spec::CONTAINERD_SOCKET.into(),
            containerd: Some("containerd".to_owned()),
            ctr: vec!["ctr".to_owned()],
            restart: unit(tree, &["containerd"]),
        }
    }

    fn rancher(tree: &Tree, kind: Kind, name: &str, units: &[&str], folder: PathBuf) -> Self {
        let socket = "/run/k3s/containerd/containerd.sock";
        let ctr = match kind {
            Kind::K3s => vec!["k3s".to_owned(), "ctr".to_owned()],
            _ => vec![format!("/var/lib/rancher/{name}/bin/ctr"), "--address".to_owned(), socket.to_owned()],
        };
        Self {
            kind,
            config: folder.join("config.toml"),
            folder,
            socket: socket.into(),
            // It reads a configuration that is made anew at each start: asking the program would tell nothing.
            containerd: None,
            ctr,
            restart: unit(tree, units),
        }
    }

    fn microk8s() -> Self {
        Self {
            kind: Kind::MicroK8s,
            config: MICROK8S_TEMPLATE.into(),
            folder: MICROK8S_ARGS.into(),
            socket: "/var/snap/microk8s/common/run/containerd.sock".into(),
            containerd: None,
            ctr: vec!["microk8s.ctr".to_owned()],
            restart: Restart::Command(Invocation::look("snap", &["restart", "microk8s.daemon-containerd"])),
        }
    }

    /// A call of containerd's client.
    pub fn ctr(&self, arguments: &[&str]) -> Invocation {
        let first: Vec<&str> = self.ctr[1..].iter().map(String::as_str).collect();
        Invocation::look(&*self.ctr[0], &first).and(arguments)
    }
}

/// <https://microk8s.io/docs/configuring-services>
const MICROK8S_ARGS: &str = "/var/snap/microk8s/current/args";
/// Same source.
const MICROK8S_TEMPLATE: &str = "/var/snap/microk8s/current/args/containerd-template.toml";
/// Where systemd's units are, the first ones winning.
const UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The first of these units that is there, where systemd runs.
fn unit(tree: &Tree, names: &[&str]) -> Restart {
    let there = |name: &&&str| {
        UNITS.iter().any(|folder| tree.exists(&Path::new(folder).join(format!("{name}.service"))))
    };
    match names.iter().find(there) {
        Some(name) if tree.exists(Path::new("/run/systemd/system")) => {
            Restart::Unit(format!("{name}.service"))
        }
        _ => Restart::Person,
    }
}

/// The configuration that containerd's unit names, if it names one.
fn unit_config(tree: &Tree) -> Option<PathBuf> {
    let unit = UNITS.iter().find_map(|folder| tree.text(&Path::new(folder).join("containerd.service")))?;
    let start = unit.lines().find_map(|line| line.trim().strip_prefix("ExecStart="))?;
    let words: Vec<&str> = start.split_whitespace().collect();
    let at = words.iter().position(|word| matches!(*word, "--config" | "-c" | "-config"));
    let named = match at {
        Some(at) => words.get(at + 1).copied(),
        None => words.iter().find_map(|word| word.strip_prefix("--config=")),
    };
    named.map(PathBuf::from).filter(|path| path.is_absolute())
}
