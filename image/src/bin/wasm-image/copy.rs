//! `wasm-image copy`

use std::process::ExitCode;

use anyhow::{Context, bail};
use wasm_image::Place;

use crate::output::Format;
use crate::registry_args::{EXIT_CODES, plain_http};
use crate::transfer_args::{self, TransferArgs, UploadArgs};

/// Copy an image between registries, image layouts and oci-archives without changing a byte
///
/// A place is a reference (or docker://REFERENCE), oci:DIR[:TAG], oci-archive:FILE[:TAG], a path that ends in .tar, or
/// one that begins with /, ./ or ../ or ends in /. Between registries nothing is kept on disk. Within one registry
/// blobs are mounted, not sent.
#[derive(clap::Args)]
#[command(after_help = HELP, after_long_help = HELP.to_owned() + "\n" + EXIT_CODES)]
pub(crate) struct Args {
    /// From where
    source: Place,

    /// To where; several names are for registries only
    #[arg(required = true)]
    destinations: Vec<Place>,

    /// Speak plain HTTP with the source, as --plain-http does with the destination
    #[arg(long, action = clap::ArgAction::Count)]
    from_plain_http: u8,

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
  wasm-image copy ghcr.io/me/hello:1.0 localhost:5000/hello:1.0 --plain-http
  wasm-image copy oci:images:v1 hello.tar
  wasm-image copy hello.tar docker://registry.example.org/hello:1.0

--username and WASM_IMAGE_USERNAME are for the destination; a source on another registry uses configuration files.
";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let registry_of = |place: &Place| match place {
            Place::Registry(reference) => Some(reference.registry().to_owned()),
            Place::Layout(..) | Place::Archive(..) => None,
        };
        let source = registry_of(&self.source);
        let targets: Vec<String> = self.destinations.iter().filter_map(registry_of).collect();
        if self.from_plain_http > 0 && source.is_none() {
            bail!("--from-plain-http is for a source on a registry");
        }
        let context = format!("cannot copy {}", self.source);
        let mut transfer = self.transfer.transfer(self.source, self.destinations)?;
        transfer.mount_from = self.upload.mount_from;
        transfer.to.chunk_size = self.upload.chunk_size;
        if let Some(source) = &source
            && !targets.is_empty()
            && !targets.contains(source)
        {
            // What is meant for one registry is not shown to another.
            transfer.from.credentials.given = None;
            transfer.from.plain_http = plain_http(self.from_plain_http);
        } else if self.from_plain_http > 0 {
            transfer.from.plain_http = plain_http(self.from_plain_http);
        }
        transfer_args::run(transfer, "copied", self.output).context(context)
    }
}
