//! `wasm-image push`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use wasm_image::{Place, Reference, Selector};

use crate::output::Format;
use crate::registry_args::EXIT_CODES;
use crate::transfer_args::{self, TransferArgs, UploadArgs};

/// Push an image layout or oci-archive to a registry
///
/// Blobs that the registry has are not sent. Every blob is held against its digest while it is read; manifests follow
/// when all blobs are there, the tags last. No byte of a document changes, so the digest stays.
#[derive(clap::Args)]
#[command(after_help = HELP, after_long_help = HELP.to_owned() + "\n" + EXIT_CODES)]
pub(crate) struct Args {
    /// A folder or a tar file
    #[arg(value_name = "LAYOUT|ARCHIVE")]
    path: PathBuf,

    /// What it will be called; several names of one image share its blobs
    #[arg(value_name = "REFERENCE", required = true)]
    references: Vec<Reference>,

    /// Which image, where the layout holds several
    #[arg(long, value_name = "TAG|DIGEST")]
    select: Option<Selector>,

    #[command(flatten)]
    upload: UploadArgs,

    #[command(flatten)]
    transfer: TransferArgs,

    /// How the result is printed
    #[arg(long = "output", short, value_enum, default_value_t)]
    output: Format,
}

const HELP: &str = "\
Examples:
  wasm-image push hello.tar ghcr.io/me/hello:1.0 ghcr.io/me/hello:latest
  wasm-image push hello/ localhost:5000/hello:dev --plain-http
  pass registry | wasm-image push hello.tar registry.example.org/hello:1.0 --username me --password-stdin
";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let source = Place::from_path(self.path, self.select);
        let context = format!("cannot push {source}");
        let names = self.references.into_iter().map(Place::Registry).collect();
        let mut transfer = self.transfer.transfer(source, names)?;
        transfer.mount_from = self.upload.mount_from;
        transfer.to.chunk_size = self.upload.chunk_size;
        transfer_args::run(transfer, "pushed", self.output).context(context)
    }
}
