//! Docker's and podman's files with credentials: other programs write them, and no error may show what is in them.

#![no_main]

#[allow(dead_code, reason = "each target needs a part of it")]
#[path = "shared/archive.rs"]
mod archive;
// The files themselves: the part of the library that talks to registries takes a C compiler for its TLS.
#[path = "../../image/src/registry"]
mod registry {
    #[allow(dead_code, reason = "only what reads the files is fuzzed")]
    pub mod credentials;
    mod docker_config;
    #[allow(dead_code, reason = "only what reads the files is fuzzed")]
    mod secret;
    /// Helpers are programs: none is run here.
    mod helper {
        use std::time::Duration;

        use super::credentials::{Credential, CredentialError};

        pub const TIMEOUT: Duration = Duration::ZERO;

        pub fn program(name: &str) -> String {
            name.to_owned()
        }

        pub async fn get(_: &str, _: &str, _: Duration) -> Result<Option<Credential>, CredentialError> {
            Ok(None)
        }
    }

    pub use credentials::Credential;
    pub use secret::Secret;

    /// What the file at `path` has for one registry.
    pub async fn find(path: &std::path::Path) -> Result<bool, credentials::CredentialError> {
        let source = credentials::CredentialSource { files: vec![path.to_owned()], ..Default::default() };
        Ok(source.find("r.example.org", "a/b").await?.is_some_and(|found| !format!("{found:?}").is_empty()))
    }
}

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;

/// Stands for a password.
const SECRET: &str = "s3cr3t";

fuzz_target!(|bytes: &[u8]| {
    let file = archive::file(bytes);
    let found = pin!(registry::find(file.path()));
    // Without a helper there is nothing to wait for.
    let Poll::Ready(outcome) = found.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits");
    };
    if let Err(error) = outcome {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
});
