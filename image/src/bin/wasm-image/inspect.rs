//! `wasm-image inspect`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use wasm_image::Limits;

use crate::output::Format;

/// Verify an image layout or oci-archive and print what is in it; look into modules, bare ones too
///
/// Every digest, size and diff_id that can be reached is computed anew. Nothing in the input is trusted: links,
/// devices and paths that point outside are refused, documents over 4 MiB are not parsed. Of each module it prints
/// imports, exports, memories, the features without which it is not valid, and which engines take it and why not: as
/// they are set up by default, and as far as that was tried or read.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// A folder, a tar file, or a WebAssembly binary
    #[arg(value_name = "LAYOUT|ARCHIVE|MODULE")]
    path: PathBuf,

    /// How the result is printed
    #[arg(long = "output", short, value_enum, default_value_t)]
    output: Format,
}

const HELP: &str = "\
Examples:
  wasm-image inspect hello.tar
  wasm-image inspect hello/ -o json | jq '.images[0].digest'
  wasm-image inspect hello.wasm -o json | jq '.modules[0].features'

Exit codes: 0 all is right (there may be notes), 1 something is wrong (every finding is listed), 2 usage";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let report = wasm_image::inspect(&self.path, &Limits::default()).context("cannot inspect")?;
        self.output.print(&report)?;
        Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
