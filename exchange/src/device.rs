//! A device, as Akri's `v0.Device` has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::invalid::at_most;
use crate::json::{Writer, has_control};
use crate::{Invalid, bounded, limits};

/// One discovered device. Field for field the `Device` of Akri's discovery protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// What tells this device from the handler's others; the agent makes the Instance's name from its hash.
    #[serde(deserialize_with = "bounded::text::<{ limits::DEVICE_ID_BYTES }, _>")]
    pub id: String,
    /// Environment variables of the brokers.
    #[serde(default, deserialize_with = "bounded::properties", skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Host directories and files that brokers get.
    #[serde(
        default,
        deserialize_with = "bounded::list::<{ limits::MOUNTS }, _, _>",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub mounts: Vec<Mount>,
    /// Device nodes that brokers get.
    #[serde(
        default,
        deserialize_with = "bounded::list::<{ limits::MOUNTS }, _, _>",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub device_specs: Vec<DeviceSpec>,
}

/// A path of the host that a broker gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the broker.
    #[serde(deserialize_with = "bounded::text::<{ limits::PATH_BYTES }, _>")]
    pub container_path: String,
    /// Absolute path on the node.
    #[serde(deserialize_with = "bounded::text::<{ limits::PATH_BYTES }, _>")]
    pub host_path: String,
    /// Whether the broker may only read it. Read-only where the handler does not say.
    #[serde(default = "yes")]
    pub read_only: bool,
}

/// A device node that a broker gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// Absolute path in the broker.
    #[serde(deserialize_with = "bounded::text::<{ limits::PATH_BYTES }, _>")]
    pub container_path: String,
    /// Absolute path on the node.
    #[serde(deserialize_with = "bounded::text::<{ limits::PATH_BYTES }, _>")]
    pub host_path: String,
    /// Some of `r` (read), `w` (write), `m` (mknod), each at most once.
    #[serde(deserialize_with = "bounded::text::<{ limits::PATH_BYTES }, _>")]
    pub permissions: String,
}

fn yes() -> bool {
    true
}

impl Device {
    /// A device with an id and nothing else.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// The device with one more property.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// What serde would write.
    pub(crate) fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.key("id").string(&self.id);
            if !self.properties.is_empty() {
                json.key("properties").object(|json| {
                    for (name, value) in &self.properties {
                        json.key(name).string(value);
                    }
                });
            }
            if !self.mounts.is_empty() {
                json.key("mounts").list(&self.mounts, |json, mount| {
                    json.object(|json| {
                        json.key("container_path").string(&mount.container_path);
                        json.key("host_path").string(&mount.host_path);
                        json.key("read_only").bool(mount.read_only);
                    });
                });
            }
            if !self.device_specs.is_empty() {
                json.key("device_specs").list(&self.device_specs, |json, spec| {
                    json.object(|json| {
                        json.key("container_path").string(&spec.container_path);
                        json.key("host_path").string(&spec.host_path);
                        json.key("permissions").string(&spec.permissions);
                    });
                });
            }
        });
    }

    /// Bytes of all its texts.
    fn bytes(&self) -> usize {
        let properties = self.properties.iter().map(|(name, value)| name.len() + value.len());
        let mounts = self.mounts.iter().map(|mount| mount.container_path.len() + mount.host_path.len());
        let specs = self.device_specs.iter().map(|spec| spec.container_path.len() + spec.host_path.len());
        self.id.len() + properties.chain(mounts).chain(specs).sum::<usize>()
    }

    /// Checks form and bounds; *what* a handler may hand out is the proxy's policy, not this.
    pub fn check(&self) -> Result<(), Invalid> {
        at_most("a device id in bytes", self.id.len(), limits::DEVICE_ID_BYTES)?;
        if has_control(&self.id) {
            return Err(Invalid::text("the device id", &self.id, "no control characters"));
        }
        at_most("properties of a device", self.properties.len(), limits::PROPERTIES)?;
        for (name, value) in &self.properties {
            check_property_name(name)?;
            at_most("a property value in bytes", value.len(), limits::PROPERTY_VALUE_BYTES)?;
            if value.contains('\0') {
                return Err(Invalid::text("the value of property", name, "no NUL"));
            }
        }
        at_most("a device in bytes", self.bytes(), limits::DEVICE_BYTES)?;
        at_most("mounts of a device", self.mounts.len(), limits::MOUNTS)?;
        at_most("device nodes of a device", self.device_specs.len(), limits::MOUNTS)?;
        for Mount { container_path, host_path, .. } in &self.mounts {
            check_path(container_path)?;
            check_path(host_path)?;
        }
        for DeviceSpec { container_path, host_path, permissions } in &self.device_specs {
            check_path(container_path)?;
            check_path(host_path)?;
            check_permissions(permissions)?;
        }
        Ok(())
    }
}

/// Kubernetes' rule for the name of an environment variable, which is what a property becomes.
fn check_property_name(name: &str) -> Result<(), Invalid> {
    at_most("a property name in bytes", name.len(), limits::PROPERTY_NAME_BYTES)?;
    let mut bytes = name.bytes();
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if bytes.next().is_some_and(|b| inner(b) && !b.is_ascii_digit()) && bytes.all(inner) {
        return Ok(());
    }
    Err(Invalid::text("the property name", name, "letters, digits, '-', '_' or '.', not first a digit"))
}

fn check_path(path: &str) -> Result<(), Invalid> {
    at_most("a path in bytes", path.len(), limits::PATH_BYTES)?;
    let plain = path.starts_with('/')
        && !has_control(path)
        && path[1..].split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if plain {
        Ok(())
    } else {
        Err(Invalid::text("the path", path, "absolute, without '.', '..' or empty parts"))
    }
}

fn check_permissions(permissions: &str) -> Result<(), Invalid> {
    let mut seen = Vec::with_capacity(3);
    for letter in permissions.bytes() {
        if !matches!(letter, b'r' | b'w' | b'm') || seen.contains(&letter) {
            seen.clear();
            break;
        }
        seen.push(letter);
    }
    if seen.is_empty() {
        return Err(Invalid::text("the permissions", permissions, "one to three of r, w and m, each once"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_devices_are_refused() {
        let spec = |host: &str, permissions: &str| Device {
            device_specs: vec![DeviceSpec {
                container_path: "/dev/x".into(),
                host_path: host.into(),
                permissions: permissions.into(),
            }],
            ..Device::new("x")
        };
        assert!(spec("/dev/video0", "rwm").check().is_ok());
        for bad in [
            Device::new("a\u{0}b"),
            Device::new("a\nb"),
            Device::new("x".repeat(limits::DEVICE_ID_BYTES + 1)),
            Device::new("x").property("A=B", ""),
            Device::new("x").property("", ""),
            Device::new("x").property("1A", ""),
            Device::new("x").property("A", "a\0b"),
            Device::new("x").property("A", "x".repeat(limits::PROPERTY_VALUE_BYTES + 1)),
            spec("dev/video0", "r"),
            spec("/dev/../etc", "r"),
            spec("/dev//x", "r"),
            spec("/", "r"),
            spec("/dev/x", ""),
            spec("/dev/x", "rr"),
            spec("/dev/x", "rx"),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
