//! The policy's file, of people who are trusted and make mistakes: what it says holds, or it is an error.

#![no_main]

use std::path::Path;

use akri_exchange::{Device, DeviceSpec};
use akri_proxy::policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(policy) = Policy::parse(bytes, Path::new("policy.yaml")) else { return };
    let json = serde_json::to_vec(&policy).expect("a policy can be shown");
    assert_eq!(Policy::parse(&json, Path::new("policy.json")).expect("what is shown can be read"), policy);
    // Whatever it allows, no path with a step up, and none that is not absolute, is ever handed out.
    for path in ["/dev/../etc/shadow", "/dev/..", "dev/x", "../dev/x", ""] {
        let spec =
            DeviceSpec { container_path: "/x".into(), host_path: path.into(), permissions: "r".into() };
        let device = Device { device_specs: vec![spec], ..Device::new("x") };
        assert!(policy.check(&[device]).is_err(), "{path}");
    }
});
