//! `wasm-image sbom`

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use wasm_image::{LocalImage, Platform, Referrers, Selector};

use crate::fetched::Fetched;
use crate::registry_args::{EXIT_CODES, RegistryArgs};

/// Print what an image's program is made of: the CycloneDX document that is attached to it
///
/// The document is held against its digests and printed byte for byte. Nothing says that it is true but whoever attached
/// it. `inspect` lists all that is attached to an image.
#[derive(clap::Args)]
#[command(after_help = HELP, after_long_help = HELP.to_owned() + "\n" + EXIT_CODES)]
pub(crate) struct Args {
    /// A folder, a tar file, or an image of a registry
    #[arg(value_name = "LAYOUT|ARCHIVE|REFERENCE")]
    path: PathBuf,

    /// Of which platform's program [default: linux on this architecture, else wasi/wasm, else the only one]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,

    /// Which of the layout's images, if it holds several
    #[arg(long, value_name = "TAG|NAME|DIGEST")]
    image: Option<Selector>,

    #[command(flatten)]
    registry: RegistryArgs,
}

const HELP: &str = "\
Examples:
  wasm-image sbom hello.tar | jq -r '.components[] | .name + \" \" + .version'
  wasm-image sbom ghcr.io/me/proxy:1.0 --platform linux/arm64 > proxy.cdx.json
";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let context = || format!("cannot tell what {} is made of", self.path.display());
        let fetched = Fetched::get(&self.path, &self.registry, Referrers::Along).with_context(context)?;
        let image = LocalImage { path: fetched.path.clone(), selector: self.image };
        let bytes = wasm_image::sbom(&image, self.platform.as_ref()).with_context(context)?;
        match io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(error).context("cannot print the document")
            }
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}
