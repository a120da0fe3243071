//! Blobs are never in memory as a whole: an image that is larger than the bound goes through every command.

use std::process::Command;

use image_peers::large::{peak, write_program};
use image_peers::{DockerRegistry, Guard};

use crate::foreign::tool;
use crate::support::temp;

/// The program's length, and the most that a command may have resident, in bytes. `make bench-images` prints the same of 1 GiB.
const LENGTH: u64 = 96 << 20;
const BOUND: u64 = 32 << 20;

#[test]
fn an_image_may_be_larger_than_the_memory() {
    let Some(program) = tool("docker-registry") else { return };
    let registry = DockerRegistry::start(&program, Guard::Open).unwrap();
    let folder = temp();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write_program(&folder.path().join("large"), LENGTH).unwrap();
    let [binary, layout, pulled] = ["large", "layout", "pulled"].map(path);
    let [first, second] = ["large", "copy"].map(|name| format!("{}/{name}:v1", registry.address));
    for arguments in [
        &["build", "--native", &binary, "--tag", "localhost/large:v1", "--output", &layout][..],
        &["push", "--plain-http", "--quiet", &layout, &first],
        &["pull", "--plain-http", "--quiet", &first, "--output", &pulled],
        &["copy", "--plain-http", "--quiet", &pulled, &second],
        &["inspect", &pulled],
    ] {
        let most = peak(Command::new(env!("CARGO_BIN_EXE_wasm-image")).args(arguments)).unwrap();
        assert!(most < BOUND, "{arguments:?} took {most} bytes");
    }
}
