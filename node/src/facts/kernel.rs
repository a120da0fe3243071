//! The kernel's side: cgroups, capabilities, swap, and what is to be loaded and set at boot.

use std::path::Path;

use crate::system::Tree;

/// CAP_SYS_RESOURCE, by which a process may lower an OOM score. <https://man7.org/linux/man-pages/man7/capabilities.7.html>
const CAP_SYS_RESOURCE: u32 = 24;
/// Modules that a pod network needs.
pub(crate) const MODULES: [&str; 2] = ["overlay", "br_netfilter"];
/// Settings that a pod network needs, and their value.
/// <https://kubernetes.io/docs/setup/production-environment/container-runtimes/>
pub(crate) const SETTINGS: [&str; 3] =
    ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables", "net.ipv4.ip_forward"];
/// Where modules are listed that are loaded at boot.
const MODULE_FOLDERS: [&str; 3] = ["/etc/modules-load.d", "/usr/lib/modules-load.d", "/run/modules-load.d"];
/// Where settings are that are made at boot.
const SETTING_FOLDERS: [&str; 3] = ["/etc/sysctl.d", "/usr/lib/sysctl.d", "/run/sysctl.d"];

/// What matters of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Kernel {
    /// cgroup v1 and v2 at once, where crun refuses.
    pub hybrid_cgroups: bool,
    /// Whether OOM scores can be lowered; unknown in a root folder.
    pub may_lower_oom_score: Option<bool>,
    /// Whether there is swap.
    pub swap: bool,
    /// Modules that nobody has loaded at boot.
    pub modules_lacking: Vec<String>,
    /// Settings that nobody makes at boot.
    pub settings_lacking: Vec<String>,
}

impl Kernel {
    pub(super) fn find(tree: &Tree, ours: [&Path; 2]) -> Self {
        let modules = lines(tree, &MODULE_FOLDERS, Some("/etc/modules"), ours[0]);
        let settings = lines(tree, &SETTING_FOLDERS, Some("/etc/sysctl.conf"), ours[1]);
        let is_set = |name: &str| {
            settings.iter().any(|line| {
                let (key, value) = line.split_once('=').unwrap_or_default();
                key.trim().trim_start_matches('-').replace('/', ".") == name && value.trim() == "1"
            })
        };
        Self {
            hybrid_cgroups: hybrid(&tree.text(Path::new("/proc/self/mounts")).unwrap_or_default()),
            may_lower_oom_score: tree
                .text(Path::new("/proc/self/status"))
                .and_then(|status| bounding_set(&status))
                .map(|set| set >> CAP_SYS_RESOURCE & 1 == 1),
            swap: tree.text(Path::new("/proc/swaps")).is_some_and(|swaps| swaps.lines().count() > 1),
            modules_lacking: MODULES
                .iter()
                .filter(|name| !modules.iter().any(|line| line == *name))
                .map(|name| (*name).to_owned())
                .collect(),
            settings_lacking: SETTINGS
                .iter()
                .filter(|name| !is_set(name))
                .map(|name| (*name).to_owned())
                .collect(),
        }
    }
}

/// The lines of all files that are read at boot, but for the one that is ours.
fn lines(tree: &Tree, folders: &[&str], single: Option<&str>, ours: &Path) -> Vec<String> {
    let mut texts: Vec<String> = single.and_then(|path| tree.text(Path::new(path))).into_iter().collect();
    for folder in folders.iter().map(Path::new) {
        for name in tree.list(folder).unwrap_or_default().iter().filter(|name| name.ends_with(".conf")) {
            let path = folder.join(name);
            if path != ours {
                texts.extend(tree.text(&path));
            }
        }
    }
    texts
        .iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
        .map(str::to_owned)
        .collect()
}

/// Whether cgroup v2 is mounted beside v1's controllers.
fn hybrid(mounts: &str) -> bool {
    let has = |kind: &str, within: &str| {
        mounts.lines().any(|line| {
            let mut fields = line.split(' ').skip(1);
            fields.next().is_some_and(|path| path.starts_with(within)) && fields.next() == Some(kind)
        })
    };
    has("cgroup", "/sys/fs/cgroup/") && has("cgroup2", "/sys/fs/cgroup/unified")
}

fn bounding_set(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_is_both() {
        let v1 = "cgroup /sys/fs/cgroup/memory cgroup rw 0 0\n";
        let unified = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert!(hybrid(&format!("{v1}{unified}")));
        assert!(!hybrid(v1) && !hybrid(unified) && !hybrid("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"));
    }

    #[test]
    fn capabilities_are_bits() {
        let set = bounding_set("Name:\tx\nCapBnd:\t000001fffeffffff\n").unwrap();
        assert_eq!(set >> CAP_SYS_RESOURCE & 1, 0);
    }
}
