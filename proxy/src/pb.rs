//! Akri's discovery protocol, generated from `proto/discovery.proto`, and its conversion from the exchange's devices.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

tonic::include_proto!("v0");

impl From<akri_exchange::Device> for Device {
    fn from(device: akri_exchange::Device) -> Self {
        let akri_exchange::Device { id, properties, mounts, device_specs } = device;
        Self {
            id,
            properties,
            mounts: mounts.into_iter().map(Mount::from).collect(),
            device_specs: device_specs.into_iter().map(DeviceSpec::from).collect(),
        }
    }
}

impl From<akri_exchange::Mount> for Mount {
    fn from(mount: akri_exchange::Mount) -> Self {
        let akri_exchange::Mount { container_path, host_path, read_only } = mount;
        Self { container_path, host_path, read_only }
    }
}

impl From<akri_exchange::DeviceSpec> for DeviceSpec {
    fn from(spec: akri_exchange::DeviceSpec) -> Self {
        let akri_exchange::DeviceSpec { container_path, host_path, permissions } = spec;
        Self { container_path, host_path, permissions }
    }
}
