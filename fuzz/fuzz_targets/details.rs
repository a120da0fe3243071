//! A Configuration's details: YAML of whoever may write Configurations becomes JSON.

#![no_main]

use akri_exchange::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let details_json = match akri_proxy::details::to_json(text) {
        Ok(json) => {
            serde_json::from_str::<serde_json::Value>(&json).expect("it is JSON");
            Some(json)
        }
        Err(_) => None,
    };
    let request = Request {
        details_text: text.to_owned(),
        details_error: details_json.is_none().then(|| "why".to_owned()),
        details_json,
        properties: Default::default(),
    };
    let Ok(bytes) = request.to_json() else { return };
    assert_eq!(Request::parse(&bytes, request.id()).expect("a handler can read it"), request);
});
