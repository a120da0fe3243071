//! What a handler announces: its name becomes part of a socket's path.

#![no_main]

use akri_exchange::Hello;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(hello) = Hello::parse(bytes) else { return };
    let name = hello.name.as_str();
    assert!(!name.contains('/') && !name.starts_with('.') && !name.contains('\0') && name.len() <= 63);
    assert_eq!(Hello::parse(&hello.to_json()).expect("what was taken is taken again"), hello);
});
