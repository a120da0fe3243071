//! `wasm-image inspect`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use wasm_image::Limits;

use crate::fetched::Fetched;
use crate::output::Format;
use crate::registry_args::{EXIT_CODES, RegistryArgs};

/// Verify an image layout, oci-archive or remote image and print what is in it; look into modules, bare ones too
///
/// Every digest, size and diff_id that can be reached is computed anew. Nothing in the input is trusted: links,
/// devices and paths that point outside are refused, documents over 4 MiB are not parsed. Of each module it prints
/// imports, exports, memories, the features without which it is not valid, and which engines take it and why not: as
/// they are set up by default, and as far as that was tried or read.
#[derive(clap::Args)]
#[command(after_help = HELP, after_long_help = HELP.to_owned() + "\n\n" + EXIT_CODES)]
pub(crate) struct Args {
    /// A folder, a tar file, a WebAssembly binary, or an image of a registry, which is pulled into a temporary folder
    #[arg(value_name = "LAYOUT|ARCHIVE|MODULE|REFERENCE")]
    path: PathBuf,

    #[command(flatten)]
    registry: RegistryArgs,

    /// How the result is printed
    #[arg(long = "output", short, value_enum, default_value_t)]
    output: Format,
}

const HELP: &str = "\
Examples:
  wasm-image inspect hello.tar
  wasm-image inspect hello/ -o json | jq '.images[0].digest'
  wasm-image inspect ghcr.io/me/hello:1.0
  wasm-image inspect hello.wasm -o json | jq '.modules[0].features'

Exit codes: 0 all is right (there may be notes), 1 something is wrong (every finding is listed), 2 usage";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let fetched = Fetched::get(&self.path, &self.registry, wasm_image::Referrers::Along)
            .context("cannot inspect")?;
        let mut report = wasm_image::inspect(&fetched.path, &Limits::default()).context("cannot inspect")?;
        report.path = self.path;
        self.output.print(&report)?;
        Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
