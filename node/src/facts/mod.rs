//! What is so on the node: found out by `detect`, and only read from then on.

mod containerd;
mod crun;
mod detect;
mod kernel;
mod kubelet;
mod layout;
mod openyurt;
mod os;

pub(crate) use containerd::dump;
pub use containerd::{ConfigFile, ConfigReadError, Containerd, Live, Version};
pub use crun::{Crun, Engine};
pub use detect::{DetectError, detect};
pub use kernel::Kernel;
pub use kubelet::{CgroupDriver, Kubelet};
pub use layout::{Edit, Kind, Layout, Restart};
pub use openyurt::OpenYurt;
pub use os::{Arch, Os, PackageManager};

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::system::Attributes;

/// Everything that a plan is made from.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Facts {
    /// The distribution.
    pub os: Os,
    /// The processor.
    pub arch: Arch,
    /// Whether it is the running system.
    pub live: bool,
    /// Whose containerd, and where it keeps what.
    pub layout: Layout,
    /// The program.
    pub containerd: Option<Containerd>,
    /// Its configuration: the files in the order in which they are loaded.
    pub config: Vec<ConfigFile>,
    /// What containerd makes of them.
    #[serde(skip)]
    pub effective: Option<crate::config::Effective>,
    /// The OCI configuration that containerd begins with.
    #[serde(skip)]
    pub default_spec: Option<String>,
    /// The low-level runtime.
    pub crun: Option<Crun>,
    /// The engine's library.
    pub engine: Option<Engine>,
    /// The Debian mirror that the node uses.
    pub apt_mirror: Option<String>,
    /// The kubelet, where there is one.
    pub kubelet: Option<Kubelet>,
    /// Whether a pod network is configured.
    pub pod_network: bool,
    /// OpenYurt's yurthub, where there is one.
    pub openyurt: Option<OpenYurt>,
    /// The kernel's side.
    pub kernel: Kernel,
    /// containerd as it runs.
    pub cri: Live,
    /// The files that a plan may write, as they are.
    #[serde(skip)]
    pub files: BTreeMap<PathBuf, OldFile>,
}

/// A file before it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldFile {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whose it is.
    pub attributes: Attributes,
}
