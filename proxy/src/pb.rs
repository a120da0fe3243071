//! Akri's discovery protocol, generated from `proto/discovery.proto`, and its conversion from the exchange's devices.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

tonic::include_proto!("v0");

impl From<&akri_exchange::Device> for Device {
    fn from(device: &akri_exchange::Device) -> Self {
        Self {
            id: device.id.clone(),
            properties: device.properties.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            mounts: device.mounts.iter().map(Mount::from).collect(),
            device_specs: device.device_specs.iter().map(DeviceSpec::from).collect(),
        }
    }
}

impl From<&akri_exchange::Mount> for Mount {
    fn from(mount: &akri_exchange::Mount) -> Self {
        Self {
            container_path: mount.container_path.clone(),
            host_path: mount.host_path.clone(),
            read_only: mount.read_only,
        }
    }
}

impl From<&akri_exchange::DeviceSpec> for DeviceSpec {
    fn from(spec: &akri_exchange::DeviceSpec) -> Self {
        Self {
            container_path: spec.container_path.clone(),
            host_path: spec.host_path.clone(),
            permissions: spec.permissions.clone(),
        }
    }
}
