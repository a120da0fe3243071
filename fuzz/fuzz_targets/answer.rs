//! What a handler answers: read, checked against limits and the policy, and written again as it was.

#![no_main]

use akri_exchange::{Answer, Outcome, RequestId};
use akri_proxy::policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let id = RequestId::of("", &Default::default());
    let Ok(answer) = Answer::parse(bytes, id) else { return };
    if let Outcome::Devices(devices) = &answer.outcome
        && Policy::default().check(devices).is_ok()
    {
        assert!(devices.iter().all(|device| device.mounts.is_empty()));
        let mut specs = devices.iter().flat_map(|device| &device.device_specs);
        assert!(specs.all(|spec| spec.host_path.starts_with("/dev/") && !spec.host_path.contains("/../")));
    }
    assert_eq!(Answer::parse(&answer.to_json(), id).expect("what was taken is taken again"), answer);
});
