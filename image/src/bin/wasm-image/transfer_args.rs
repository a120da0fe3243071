//! What push, pull and copy have in common: how blobs move, and how the result is printed.

use std::fmt;
use std::process::ExitCode;

use indicatif::DecimalBytes;
use wasm_image::{BlobOutcome, Place, Platform, Referrers, Transfer, TransferReport};

use crate::output::Format;
use crate::progress;
use crate::registry_args::{self, RegistryArgs};

/// How blobs move.
#[derive(clap::Args)]
pub(crate) struct TransferArgs {
    /// Only the manifest for this platform; may be repeated
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Vec<Platform>,

    /// How many blobs move at once
    #[arg(long, short, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// Leave out what is attached to the image: lists of its parts, signatures
    #[arg(long)]
    no_referrers: bool,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// How blobs are sent to a registry.
#[derive(clap::Args)]
pub(crate) struct UploadArgs {
    /// Send blobs in pieces of this many bytes [default: in one, unless the registry refuses that]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) chunk_size: Option<u64>,

    /// A repository of the same registry from which blobs may be mounted
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) mount_from: Option<String>,
}

impl TransferArgs {
    /// A transfer as these arguments say.
    pub(crate) fn transfer(&self, source: Place, destinations: Vec<Place>) -> anyhow::Result<Transfer> {
        let options = self.registry.options(progress::reporter(self.registry.quiet))?;
        Ok(Transfer {
            source,
            destinations,
            platforms: self.platform.clone(),
            mount_from: None,
            referrers: if self.no_referrers { Referrers::Left } else { Referrers::Along },
            jobs: usize::from(self.jobs),
            from: options.clone(),
            to: options,
        })
    }
}

/// Does it, and prints what came of it.
pub(crate) fn run(transfer: Transfer, verb: &'static str, format: Format) -> anyhow::Result<ExitCode> {
    registry_args::wait(async {
        let report = wasm_image::transfer(&transfer).await?;
        format.print(&Summary { verb, report })?;
        Ok(ExitCode::SUCCESS)
    })
}

/// What was moved, printed.
struct Summary {
    verb: &'static str,
    report: TransferReport,
}

impl serde::Serialize for Summary {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.report.serialize(serializer)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        writeln!(f, "{} {}", self.verb, report.source)?;
        for destination in &report.destinations {
            writeln!(f, "  to         {destination}")?;
        }
        writeln!(f, "  digest     {}", report.digest)?;
        write!(f, "  blobs      {}", report.blobs.len())?;
        let outcomes = [BlobOutcome::Sent, BlobOutcome::Existed, BlobOutcome::Mounted, BlobOutcome::Foreign];
        let mut separator = ": ";
        for outcome in outcomes {
            let count = report.blobs.iter().filter(|blob| blob.outcome == outcome).count();
            if count > 0 {
                write!(f, "{separator}{count} {outcome}")?;
                separator = ", ";
            }
        }
        writeln!(f)?;
        writeln!(f, "  manifests  {}", report.documents)?;
        if !report.referrers.is_empty() {
            writeln!(f, "  attached   {}", report.referrers.len())?;
        }
        writeln!(f, "  bytes      {} in {:.2} s", DecimalBytes(report.bytes), report.seconds)
    }
}
