//! What a handler may hand out to brokers. A handler is not trusted: without this it could have any host path mounted.

use std::path::{Component, Path, PathBuf};

use akri_exchange::Device;
use thiserror::Error;

/// Which host paths may appear in devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Directories below which device nodes may lie.
    pub devices: Vec<PathBuf>,
    /// Directories below which mounts may lie.
    pub mounts: Vec<PathBuf>,
}

/// A device that the policy does not let through.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("device {id:?} hands out {what} {path}, which --allow-{option} does not cover")]
pub struct Forbidden {
    id: String,
    what: &'static str,
    path: String,
    option: &'static str,
}

impl Default for Policy {
    /// Device nodes below `/dev`, no mounts.
    fn default() -> Self {
        Self { devices: vec!["/dev".into()], mounts: Vec::new() }
    }
}

impl Policy {
    /// Checks one device.
    ///
    /// # Errors
    /// Names the first path that is not allowed.
    pub fn check(&self, device: &Device) -> Result<(), Forbidden> {
        let forbidden = |what, path: &String, option| Forbidden {
            id: device.id.clone(),
            what,
            path: path.clone(),
            option,
        };
        for spec in &device.device_specs {
            if !below(&self.devices, &spec.host_path) {
                return Err(forbidden("device node", &spec.host_path, "device"));
            }
        }
        for mount in &device.mounts {
            if !below(&self.mounts, &mount.host_path) {
                return Err(forbidden("mount", &mount.host_path, "mount"));
            }
        }
        Ok(())
    }
}

fn below(allowed: &[PathBuf], path: &str) -> bool {
    let path = Path::new(path);
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    plain && allowed.iter().any(|directory| path.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use akri_exchange::{DeviceSpec, Mount};

    #[test]
    fn only_what_is_allowed_is_handed_out() {
        let node = |path: &str| Device {
            device_specs: vec![DeviceSpec {
                container_path: "/dev/x".into(),
                host_path: path.into(),
                permissions: "r".into(),
            }],
            ..Device::new("x")
        };
        let mount = |path: &str| Device {
            mounts: vec![Mount { container_path: "/x".into(), host_path: path.into(), read_only: true }],
            ..Device::new("x")
        };
        let usual = Policy::default();
        assert!(usual.check(&node("/dev/video0")).is_ok());
        for bad in ["/devil", "/etc/shadow", "/dev/../etc/shadow", "dev/x"] {
            assert!(usual.check(&node(bad)).is_err(), "{bad}");
        }
        assert!(usual.check(&mount("/dev/shm")).is_err());
        let wide = Policy { mounts: vec!["/srv".into()], ..usual };
        assert!(wide.check(&mount("/srv/data")).is_ok());
        assert!(wide.check(&mount("/srvx")).is_err());
    }
}
