//! What the tests with real images and engines need, and what to do where it is missing.

use std::path::PathBuf;

use clap::Parser;
use e2e::demo::Args;

/// Set to 1, a test that cannot run is a failure: for machines that are meant to run all of them.
const REQUIRE: &str = "REQUIRE_NODE";
/// Where images, program and module are, when not in `target`.
const IMAGES: &str = "E2E_IMAGES";
const PROXY: &str = "E2E_PROXY";
const MODULE: &str = "E2E_MODULE";

/// The demo's arguments, with this node's name.
pub(crate) fn arguments(node: &str) -> Args {
    let mut args = Args::parse_from(["demo", "--node", node]);
    for (variable, path) in [(IMAGES, &mut args.images), (PROXY, &mut args.proxy), (MODULE, &mut args.module)]
    {
        if let Some(given) = std::env::var_os(variable) {
            *path = given.into();
        }
    }
    args
}

/// Whether a test has to be passed over because of `missing`; says so.
pub(crate) fn skipped(test: &str, missing: Option<String>) -> bool {
    let Some(missing) = missing else { return false };
    assert!(std::env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{test} cannot run: {missing}");
    // Straight to the terminal: the harness hides what passing tests print.
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {missing} (with {REQUIRE}=1 this fails)");
    true
}

/// The first of these files that is not there, as a reason.
pub(crate) fn absent(files: &[PathBuf]) -> Option<String> {
    let file = files.iter().find(|file| !file.exists())?;
    Some(format!("{} is not there: run `make image`", file.display()))
}
