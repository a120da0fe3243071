//! What a person may ask for.

use std::path::PathBuf;

use crate::facts::Restart;
use crate::handler::HandlerName;

/// What a person may ask for, checked.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The runtime handler's name.
    pub handler: HandlerName,
    /// containerd's configuration, where it is found nowhere.
    pub containerd_config: Option<PathBuf>,
    /// How containerd is restarted, where it is found nowhere.
    pub restart: Option<Restart>,
    /// Whether packages may be installed.
    pub packages: Packages,
    /// Kernel modules and settings.
    pub kernel: KernelSettings,
}

/// Whether packages may be installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packages {
    /// What is missing, from the distribution.
    #[default]
    Distribution,
    /// Also crun and the engine of Debian 13, on an older or newer Debian.
    FromTrixie,
    /// None.
    Never,
}

/// Whether kernel modules and settings for a pod network are made to stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelSettings {
    /// Where there is a kubelet or a pod network.
    #[default]
    WhereNeeded,
    /// In any case: a kubelet is to come.
    Always,
    /// Never.
    Never,
}
