//! Properties that hold for every message.

use std::collections::BTreeMap;

use akri_exchange::{
    Answer, Device, DeviceSpec, Failure, Hello, Mount, Properties, Request, RequestId, layout,
};
use proptest::prelude::*;

prop_compose! {
    fn device()(
        id in "[^\\p{Cc}]{0,40}",
        properties in prop::collection::btree_map("[_A-Za-z][_A-Za-z0-9.-]{0,20}", "[^\0]{0,40}", 0..5),
        mounts in prop::collection::vec(("(/[a-z0-9]{1,8}){1,4}", "(/[a-z0-9]{1,8}){1,4}", any::<bool>()), 0..3),
        specs in prop::collection::vec(("(/[a-z0-9]{1,8}){1,4}", "(/[a-z0-9]{1,8}){1,4}", "r|w|m|rw|rm|rwm|wm"), 0..3),
    ) -> Device {
        Device {
            id,
            properties,
            mounts: mounts.into_iter()
                .map(|(container_path, host_path, read_only)| Mount { container_path, host_path, read_only })
                .collect(),
            device_specs: specs.into_iter()
                .map(|(container_path, host_path, permissions)| DeviceSpec { container_path, host_path, permissions })
                .collect(),
        }
    }
}

prop_compose! {
    fn properties()(map in prop::collection::btree_map(".{0,12}", prop::option::of(prop::collection::vec(any::<u8>(), 0..32)), 0..5))
        -> BTreeMap<String, Option<Vec<u8>>> { map }
}

proptest! {
    #[test]
    fn answers_come_back_as_they_went(devices in prop::collection::vec(device(), 0..20), seed in ".*") {
        let id = RequestId::of(&seed, &Properties::default());
        let answer = Answer::devices(id, devices);
        prop_assert_eq!(Answer::parse(&answer.to_json(), id).unwrap(), answer);
    }

    #[test]
    fn failures_come_back_readable(message in ".{0,200}", field in prop::option::of("[a-z\\[\\]0-9.]{1,20}")) {
        let id = RequestId::of("", &Properties::default());
        let mut failure = Failure::invalid_details(message);
        failure.field = field;
        let read = Answer::parse(&Answer::failed(id, failure).to_json(), id).unwrap();
        let akri_exchange::Outcome::Failed(failure) = read.outcome else { panic!("a failure") };
        prop_assert!(!failure.to_string().chars().any(char::is_control));
    }

    #[test]
    fn requests_come_back_as_they_went(details_text in "(?s).{0,200}", map in properties()) {
        let request = Request {
            details_json: Some(serde_json::to_string(&details_text).unwrap()),
            details_text,
            details_error: None,
            properties: map.into_iter().collect(),
        };
        let id = request.id();
        prop_assert_eq!(Request::parse(&request.to_json().unwrap(), id).unwrap(), request);
    }

    #[test]
    fn different_requests_have_different_ids(a in ("(?s).{0,20}", properties()), b in ("(?s).{0,20}", properties())) {
        let id = |(text, map): &(String, BTreeMap<String, Option<Vec<u8>>>)| RequestId::of(text, &map.clone().into_iter().collect());
        prop_assert_eq!(a == b, id(&a) == id(&b));
    }

    #[test]
    fn ids_are_file_names(seed in ".*") {
        let id = RequestId::of(&seed, &Properties::default());
        prop_assert_eq!(id.to_string().parse::<RequestId>().unwrap(), id);
        prop_assert_eq!(layout::request_id(&layout::message(id)), Some(id));
    }

    #[test]
    fn nothing_panics_on_garbage(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "(?s).{0,200}") {
        let id = RequestId::of("", &Properties::default());
        for bytes in [&bytes[..], text.as_bytes()] {
            let _ = Hello::parse(bytes);
            let _ = Request::parse(bytes, id);
            let _ = Answer::parse(bytes, id);
        }
        let _ = layout::request_id(&text);
        let _ = text.parse::<RequestId>();
    }

    #[test]
    fn torn_answers_are_refused(devices in prop::collection::vec(device(), 0..5), cut in any::<prop::sample::Index>()) {
        let id = RequestId::of("", &Properties::default());
        let bytes = Answer::devices(id, devices).to_json();
        prop_assert!(Answer::parse(&bytes[..cut.index(bytes.len())], id).is_err());
    }
}
