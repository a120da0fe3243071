//! `wasm-image pull`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use wasm_image::{LocalImage, Output, Place, Reference};

use crate::extract::Summary;
use crate::output::Format;
use crate::registry_args;
use crate::registry_args::EXIT_CODES;
use crate::transfer_args::{self, TransferArgs};

/// Pull an image from a registry into an image layout or oci-archive
///
/// Every blob and document is held against its digest. A new layout or archive appears whole or not at all; a layout
/// that is there already gets the image added, and blobs that it has intact are not fetched again.
#[derive(clap::Args)]
#[command(after_help = HELP, after_long_help = HELP.to_owned() + "\n" + EXIT_CODES)]
pub(crate) struct Args {
    /// The image
    reference: Reference,

    /// An image layout in this folder, or an oci-archive if it ends in .tar
    #[arg(long, value_name = "DIR|FILE.tar", required_unless_present = "module")]
    output: Option<PathBuf>,

    /// Only the WebAssembly module in it, as a file
    #[arg(long, value_name = "FILE.wasm", conflicts_with = "output")]
    module: Option<PathBuf>,

    #[command(flatten)]
    transfer: TransferArgs,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    print: Format,
}

const HELP: &str = "\
Examples:
  wasm-image pull ghcr.io/me/hello:1.0 --output hello/
  wasm-image pull ghcr.io/me/hello:1.0 --output hello.tar --platform linux/arm64
  wasm-image pull localhost:5000/hello:dev --module hello.wasm --plain-http
";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let context = format!("cannot pull {}", self.reference);
        let source = Place::Registry(self.reference);
        if let Some(output) = self.output {
            let place = match Output::from_path(output) {
                Output::Layout(path) => Place::Layout(path, None),
                Output::Archive(path) => Place::Archive(path, None),
            };
            let transfer = self.transfer.transfer(source, vec![place])?;
            return transfer_args::run(transfer, "pulled", self.print).context(context);
        }
        let module = self.module.context("--output or --module has to be given")?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let layout = folder.path().join("layout");
        let transfer = self.transfer.transfer(source, vec![Place::Layout(layout.clone(), None)])?;
        let platform = self.transfer.platform.first();
        registry_args::wait(async {
            wasm_image::transfer(&transfer).await?;
            let extracted = wasm_image::extract(&LocalImage::only(layout), platform, &module)?;
            self.print.print(&Summary(extracted))?;
            Ok(ExitCode::SUCCESS)
        })
        .context(context)
    }
}
