//! What a handler in wasm reads of a proxy, by the reader that is our own; held against serde_json.

#![no_main]

use akri_exchange::{Request, RequestId, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let id = RequestId::of("", &Default::default());
    let _ = Request::parse(bytes, id);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let ours = json::from_str::<serde_json::Value>(text);
    match (ours, serde_json::from_str::<serde_json::Value>(text)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("ours {ours:?}, serde_json's {theirs:?}"),
    }
});
