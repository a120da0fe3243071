//! `wasm-image extract`

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use wasm_image::{Extracted, LocalImage, Platform, Selector};

use crate::fetched::Fetched;
use crate::output::Format;
use crate::registry_args::RegistryArgs;

/// Take the module out of an image, whichever form it has
///
/// Knows ordinary images (the entry point's file, out of the layers), CNCF's wasm artifact, what wasm-to-oci pushed, and
/// runwasi's images. Everything is held against its digest, no link is followed, and the one file that is written
/// appears when it is whole, or not at all.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// A folder, a tar file, or an image of a registry
    #[arg(value_name = "LAYOUT|ARCHIVE|REFERENCE")]
    path: PathBuf,

    /// Where the module goes; a file that is there is replaced
    #[arg(long, value_name = "FILE.wasm")]
    output: PathBuf,

    /// Which of the image's platforms [default: linux on this architecture, else wasi/wasm, else the only one]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,

    /// Which of the layout's images, if it holds several
    #[arg(long, value_name = "TAG|NAME|DIGEST")]
    image: Option<Selector>,

    #[command(flatten)]
    registry: RegistryArgs,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    print: Format,
}

const HELP: &str = "\
Examples:
  wasm-image extract hello.tar --output hello.wasm
  wasm-image extract images/ --image v2 --platform linux/arm64 --output hello.wasm

Exit codes: 0 the module is there, 1 failed (no output is left), 2 the command line is wrong";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let context = || format!("cannot take the module out of {}", self.path.display());
        let fetched =
            Fetched::get(&self.path, &self.registry, wasm_image::Referrers::Left).with_context(context)?;
        let image = LocalImage { path: fetched.path.clone(), selector: self.image };
        let extracted =
            wasm_image::extract(&image, self.platform.as_ref(), &self.output).with_context(context)?;
        self.print.print(&Summary(extracted))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What was taken out, printed.
#[derive(serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Summary(pub(crate) Extracted);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extracted = &self.0;
        writeln!(f, "{}", extracted.path.display())?;
        writeln!(f, "  size        {} bytes", extracted.size)?;
        writeln!(f, "  digest      {}", extracted.digest)?;
        writeln!(f, "  format      {}", extracted.format.as_str())?;
        // An image's own words: escaped.
        if let Some(platform) = &extracted.platform {
            writeln!(f, "  platform    {}", platform.escape_debug())?;
        }
        if let Some(entrypoint) = &extracted.entrypoint {
            writeln!(f, "  entrypoint  {}", entrypoint.escape_debug())?;
        }
        writeln!(f, "  manifest    {}", extracted.manifest)
    }
}
