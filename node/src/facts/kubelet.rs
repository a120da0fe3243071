//! The kubelet: whether there is one, and who makes its cgroups.

use std::path::Path;

use serde::Deserialize;

use crate::spec;
use crate::system::Tree;

/// Who makes containers' cgroups. Kubelet and runtimes have to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupDriver {
    /// systemd, in slices and scopes.
    Systemd,
    /// The runtime itself.
    Cgroupfs,
}

/// The kubelet.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Kubelet {
    /// What its configuration or flags say; nothing where it asks the runtime or takes its default.
    pub driver: Option<CgroupDriver>,
    /// Whether it refuses to start while there is swap.
    pub fails_on_swap: bool,
}

/// The part of a KubeletConfiguration that matters here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    cgroup_driver: Option<String>,
    fail_swap_on: Option<bool>,
}

/// Where a kubelet's program or unit may be.
const SIGNS: [&str; 5] = [
    "/usr/bin/kubelet",
    "/usr/local/bin/kubelet",
    "/etc/systemd/system/kubelet.service",
    "/usr/lib/systemd/system/kubelet.service",
    spec::KUBELET_CONFIG,
];

impl Kubelet {
    pub(super) fn find(tree: &Tree) -> Option<Self> {
        SIGNS.iter().any(|path| tree.exists(Path::new(path))).then(|| {
            let configuration = tree.text(Path::new(spec::KUBELET_CONFIG)).unwrap_or_default();
            let flags = tree.text(Path::new(spec::KUBELET_FLAGS)).unwrap_or_default();
            Self::read(&configuration, &flags)
        })
    }

    fn read(configuration: &str, flags: &str) -> Self {
        let configuration: Configuration = serde_yaml_ng::from_str(configuration).unwrap_or_default();
        // A flag wins over the file.
        let flag = flags
            .split(['"', '\'', ' ', '\n'])
            .find_map(|word| word.strip_prefix("--cgroup-driver="))
            .map(str::to_owned);
        let driver = match flag.or(configuration.cgroup_driver).as_deref() {
            Some("systemd") => Some(CgroupDriver::Systemd),
            Some("cgroupfs") => Some(CgroupDriver::Cgroupfs),
            _ => None,
        };
        Self { driver, fails_on_swap: configuration.fail_swap_on.unwrap_or(true) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_read_from_file_and_flags() {
        let yaml = "kind: KubeletConfiguration\ncgroupDriver: systemd\nfailSwapOn: false\n";
        let read = Kubelet::read(yaml, "");
        assert_eq!((read.driver, read.fails_on_swap), (Some(CgroupDriver::Systemd), false));
        let read = Kubelet::read(yaml, "KUBELET_KUBEADM_ARGS=\"--cgroup-driver=cgroupfs --x=y\"\n");
        assert_eq!(read.driver, Some(CgroupDriver::Cgroupfs));
        assert_eq!(Kubelet::read("", "").driver, None);
        assert_eq!(Kubelet::read(": [", "").driver, None);
    }
}
