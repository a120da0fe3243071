//! What a registry says that it wants to see: a header of anybody who answers.

#![no_main]

// The file itself: the part of the library that talks to registries takes a C compiler for its TLS.
#[path = "../../image/src/registry/challenge.rs"]
mod challenge;

use challenge::Challenge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Some(Challenge::Bearer { realm, service }) = Challenge::choose(text.split('\n')) else { return };
    // Nothing is made up: what it says stood there.
    assert!(realm.len() + service.map_or(0, |service| service.len()) <= text.len());
});
