//! `sbom`: the command line over the library of the same name.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use sbom::Program;

/// Say in CycloneDX what a program that cargo built is made of
///
/// Lists the crates that are linked into it, with their licences and checksums, and holds the list against what the program
/// itself says. Run it in the workspace that the program was built from.
#[derive(Parser)]
#[command(name = "sbom", version, after_help = HELP)]
struct Cli {
    /// The package whose program it is
    package: String,

    /// What it was built for
    #[arg(long, value_name = "TRIPLE")]
    target: String,

    /// The program
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,

    /// Where the document goes
    #[arg(long, value_name = "FILE.cdx.json")]
    output: PathBuf,

    /// A package that the same call of cargo built; may be repeated
    #[arg(long, value_name = "PACKAGE")]
    built_with: Vec<String>,
}

const HELP: &str = "\
Examples:
  sbom akri-proxy --target x86_64-unknown-linux-musl --built-with pause \\
      --binary target/native/linux-amd64/akri-proxy --output akri-proxy.cdx.json

Exit codes: 0 written, 1 failed (no document is left), 2 the command line is wrong";

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done if even this fails.
            let _ = writeln!(std::io::stderr(), "sbom: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let context = format!("cannot say what {} is made of", cli.package);
    let program =
        Program { package: cli.package, built_with: cli.built_with, target: cli.target, binary: cli.binary };
    let bytes = sbom::sbom(Path::new("."), &program).context(context)?;
    let folder = cli.output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let cannot = || format!("cannot write {}", cli.output.display());
    // As any file that a program writes: the umask decides.
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .with_context(cannot)?;
    file.write_all(&bytes).with_context(cannot)?;
    file.persist(&cli.output).with_context(cannot)?;
    Ok(())
}
