//! What a handler may hand out to brokers. A handler is not trusted: without this it could have any host path mounted.
//!
//! `pattern` says which paths and names are meant, `file` reads a policy and says where it is wrong. Pure, but for that.

mod file;
mod pattern;

use std::fmt;
use std::str::FromStr;

use akri_exchange::{Device, limits};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

pub use file::PolicyFileError;
pub use pattern::{NamePattern, PathPattern, PatternError};

/// What may appear in devices; also the form of the file, and of what `akri-proxy status -o json` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Policy {
    /// Device nodes.
    pub device_nodes: Vec<NodeRule>,
    /// Mounts.
    pub mounts: Vec<MountRule>,
    /// The most devices in one list.
    pub max_devices: usize,
    /// Names of properties.
    pub property_names: Vec<NamePattern>,
}

/// Device nodes that may be handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRule {
    /// Where they lie on the node.
    pub path: PathPattern,
    /// What brokers may do with them.
    #[serde(default)]
    pub permissions: Permissions,
}

/// Host paths that may be mounted into brokers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountRule {
    /// Where they lie on the node.
    pub path: PathPattern,
    /// Whether brokers may write there.
    #[serde(default)]
    pub access: Access,
}

/// Some of `r` (read), `w` (write) and `m` (mknod), each once. All three where nothing is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Permissions(String);

/// A text that is no permissions.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the permissions {0:?} are none: give some of r, w and m, each once")]
pub struct PermissionsError(String);

/// What a broker may do below a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Only mounts that the handler itself declares read-only.
    #[default]
    ReadOnly,
    /// Either kind.
    ReadWrite,
}

/// A list that the policy does not let through.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Forbidden {
    /// A device node.
    #[error(
        "device {id:?} hands out device node {path:?} with {permissions}, which no entry of deviceNodes covers"
    )]
    Node {
        /// The device.
        id: String,
        /// The path on the node.
        path: String,
        /// What was asked.
        permissions: String,
    },
    /// A mount.
    #[error("device {id:?} hands out {kind} mount {path:?}, which no entry of mounts covers")]
    Mount {
        /// The device.
        id: String,
        /// `read-only` or `read-write`.
        kind: Access,
        /// The path on the node.
        path: String,
    },
    /// A property.
    #[error("device {id:?} has property {name:?}, which no entry of propertyNames covers")]
    Property {
        /// The device.
        id: String,
        /// The property.
        name: String,
    },
    /// Too many devices.
    #[error("there are more than {most} devices, which is maxDevices")]
    Devices {
        /// How many there may be.
        most: usize,
    },
}

impl Default for Policy {
    /// Device nodes below `/dev` with what is asked for, no mounts, and what the protocol itself allows.
    fn default() -> Self {
        let everywhere = "/dev/**".parse().expect("a constant that is a valid pattern");
        let any = "*".parse().expect("a constant that is a valid pattern");
        Self {
            device_nodes: vec![NodeRule { path: everywhere, permissions: Permissions::default() }],
            mounts: Vec::new(),
            max_devices: limits::DEVICES,
            property_names: vec![any],
        }
    }
}

impl Policy {
    /// A policy of directories: each itself, and everything below it.
    ///
    /// # Errors
    /// Where one is no absolute path.
    pub fn of_directories(devices: &[String], mounts: &[String]) -> Result<Self, PatternError> {
        let patterns = |directories: &[String]| -> Result<Vec<PathPattern>, PatternError> {
            let both = |directory: &String| match directory.trim_end_matches('/') {
                // The root has no name of its own.
                "" if !directory.is_empty() => vec!["/**".parse()],
                directory => vec![directory.parse(), format!("{directory}/**").parse()],
            };
            directories.iter().flat_map(both).collect()
        };
        let node = |path| NodeRule { path, permissions: Permissions::default() };
        let mount = |path| MountRule { path, access: Access::ReadWrite };
        Ok(Self {
            device_nodes: patterns(devices)?.into_iter().map(node).collect(),
            mounts: patterns(mounts)?.into_iter().map(mount).collect(),
            ..Self::default()
        })
    }

    /// Checks a handler's list.
    ///
    /// # Errors
    /// Names the first thing that is not allowed.
    pub fn check(&self, devices: &[Device]) -> Result<(), Forbidden> {
        devices.iter().enumerate().try_for_each(|(before, device)| self.check_next(before, device))
    }

    /// Checks a device of a list in which so many come before it.
    ///
    /// # Errors
    /// Names the first thing that is not allowed.
    pub fn check_next(&self, before: usize, device: &Device) -> Result<(), Forbidden> {
        if before >= self.max_devices {
            return Err(Forbidden::Devices { most: self.max_devices });
        }
        self.check_device(device)
    }

    fn check_device(&self, device: &Device) -> Result<(), Forbidden> {
        let id = || device.id.clone();
        for spec in &device.device_specs {
            let covers = |rule: &NodeRule| {
                rule.path.covers(&spec.host_path) && rule.permissions.include(&spec.permissions)
            };
            if !self.device_nodes.iter().any(covers) {
                let (path, permissions) = (spec.host_path.clone(), spec.permissions.clone());
                return Err(Forbidden::Node { id: id(), path, permissions });
            }
        }
        for mount in &device.mounts {
            let kind = if mount.read_only { Access::ReadOnly } else { Access::ReadWrite };
            let covers = |rule: &MountRule| {
                rule.path.covers(&mount.host_path) && (mount.read_only || rule.access == Access::ReadWrite)
            };
            if !self.mounts.iter().any(covers) {
                return Err(Forbidden::Mount { id: id(), kind, path: mount.host_path.clone() });
            }
        }
        let named = |name: &&String| !self.property_names.iter().any(|pattern| pattern.covers(name));
        match device.properties.keys().find(named) {
            Some(name) => Err(Forbidden::Property { id: id(), name: name.clone() }),
            None => Ok(()),
        }
    }
}

impl Permissions {
    fn include(&self, asked: &str) -> bool {
        asked.chars().all(|letter| self.0.contains(letter))
    }
}

impl Default for Permissions {
    fn default() -> Self {
        Self("rwm".to_owned())
    }
}

impl FromStr for Permissions {
    type Err = PermissionsError;

    fn from_str(text: &str) -> Result<Self, PermissionsError> {
        let once = |letter| text.matches(letter).count() <= 1;
        if text.is_empty() || !text.chars().all(|letter| "rwm".contains(letter) && once(letter)) {
            return Err(PermissionsError(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pattern::parsed(deserializer)
    }
}

impl From<Permissions> for String {
    fn from(permissions: Permissions) -> Self {
        permissions.0
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::ReadOnly => "read-only",
            Access::ReadWrite => "read-write",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akri_exchange::{DeviceSpec, Mount};

    fn node(path: &str, permissions: &str) -> [Device; 1] {
        let (container_path, host_path) = ("/dev/x".into(), path.into());
        let device_specs = vec![DeviceSpec { container_path, host_path, permissions: permissions.into() }];
        [Device { device_specs, ..Device::new("x") }]
    }

    fn mount(path: &str, read_only: bool) -> [Device; 1] {
        let mounts = vec![Mount { container_path: "/x".into(), host_path: path.into(), read_only }];
        [Device { mounts, ..Device::new("x") }]
    }

    #[test]
    fn unless_told_otherwise_nodes_below_dev_and_nothing_else() {
        let usual = Policy::default();
        assert!(usual.check(&node("/dev/video0", "rwm")).is_ok());
        for bad in ["/devil", "/etc/shadow", "/dev/../etc/shadow", "dev/x", "/dev"] {
            assert!(usual.check(&node(bad, "r")).is_err(), "{bad}");
        }
        assert!(usual.check(&mount("/dev/shm", true)).is_err());
        assert!(usual.check(&[Device::new("x").property("ANY", "")]).is_ok());
    }

    #[test]
    fn directories_of_the_command_line_cover_themselves_and_what_is_below() {
        let wide = Policy::of_directories(&["/dev/dri/".into()], &["/srv".into()]).unwrap();
        assert!(wide.check(&mount("/srv", false)).is_ok() && wide.check(&mount("/srv/data", false)).is_ok());
        assert!(wide.check(&mount("/srvx", true)).is_err());
        assert!(wide.check(&node("/dev/dri/card0", "rw")).is_ok());
        assert!(wide.check(&node("/dev/sda", "r")).is_err());
        for bad in ["dev", "", "/a/../b"] {
            assert!(Policy::of_directories(&[bad.into()], &[]).is_err(), "{bad}");
        }
        let all = Policy::of_directories(&["/".into()], &[]).unwrap();
        assert!(all.check(&node("/dev/sda", "r")).is_ok());
    }

    #[test]
    fn no_more_than_was_granted() {
        let policy = Policy {
            device_nodes: vec![NodeRule {
                path: "/dev/video*".parse().unwrap(),
                permissions: "rw".parse().unwrap(),
            }],
            mounts: vec![MountRule { path: "/srv/**".parse().unwrap(), access: Access::ReadOnly }],
            max_devices: 2,
            property_names: vec!["UDEV_*".parse().unwrap()],
        };
        assert!(policy.check(&node("/dev/video0", "wr")).is_ok());
        assert!(policy.check(&node("/dev/video0", "rwm")).is_err());
        assert!(policy.check(&mount("/srv/a", true)).is_ok());
        assert!(policy.check(&mount("/srv/a", false)).unwrap_err().to_string().contains("read-write"));
        assert!(policy.check(&[Device::new("x").property("UDEV_A", "")]).is_ok());
        assert!(policy.check(&[Device::new("x").property("LD_PRELOAD", "")]).is_err());
        assert!(policy.check(&vec![Device::new("x"); 2]).is_ok());
        assert!(policy.check(&vec![Device::new("x"); 3]).is_err());
    }

    #[test]
    fn permissions_are_some_of_three_letters() {
        for good in ["r", "rw", "rwm", "mr"] {
            assert!(good.parse::<Permissions>().is_ok(), "{good}");
        }
        for bad in ["", "x", "rr", "rwx"] {
            assert!(bad.parse::<Permissions>().is_err(), "{bad}");
        }
    }
}
