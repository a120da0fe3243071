//! What is said where the engine was not built in.

/// How `run` and `compile` are to be had.
#[cfg(not(feature = "wasmedge"))]
pub(crate) const MISSING: &str = "this wasm-image was built without the engine: build it with `cargo build -p wasm-image \
     --features wasmedge`, which on Debian 13 takes the packages libwasmedge-dev, libclang-dev and clang, and in the \
     environment WASMEDGE_INCLUDE_DIR=/usr/include and WASMEDGE_LIB_DIR=/usr/lib/$(uname -m)-linux-gnu; or take \
     scripts/wasm-image, which sees to all of it";

/// The hidden command: the engine, started by `run` as a process of its own.
#[cfg(feature = "wasmedge")]
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The descriptor that says what to do
    request: u32,
    /// The descriptor that takes what came of it
    outcome: u32,
}

#[cfg(feature = "wasmedge")]
impl Args {
    pub(crate) fn run(self) -> std::process::ExitCode {
        wasm_image::engine::child(self.request, self.outcome)
    }
}
