//! `wasm-image check`

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use wasm_image::{CheckLimits, CheckReport};

use crate::output::Format;

/// Hold a module against the rules for a guest: a WASI command, no foreign imports, small
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The module
    module: PathBuf,

    /// Most bytes that it may have
    #[arg(long, value_name = "BYTES")]
    max_size: Option<u64>,

    /// Most bytes that it may have after gzip (level 9)
    #[arg(long, value_name = "BYTES")]
    max_gzip: Option<u64>,

    /// How the result is printed
    #[arg(long = "output", short, value_enum, default_value_t)]
    output: Format,
}

const HELP: &str = "\
Example:
  wasm-image check debug-echo.wasm --max-size 130000 --max-gzip 55000

Exit codes: 0 it keeps all rules, 1 it breaks one or is no module, 2 usage";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let limits = CheckLimits { size: self.max_size, gzip: self.max_gzip };
        let report = wasm_image::check(&self.module, &limits)
            .with_context(|| format!("cannot check {}", self.module.display()))?;
        let sound = report.problems.is_empty();
        self.output.print(&Verdict(report))?;
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What was found out, printed.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Verdict(CheckReport);

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        writeln!(f, "{}", report.path.display())?;
        writeln!(f, "  size     {} bytes", report.module.size)?;
        writeln!(f, "  gzip     {} bytes", report.gzip_size)?;
        writeln!(f, "  command  {}", report.module.command.reason())?;
        for (module, names) in &report.module.imports {
            // A module's own words: escaped.
            let names =
                names.iter().map(|name| name.escape_debug().to_string()).collect::<Vec<_>>().join(" ");
            writeln!(f, "  imports  {}: {names}", module.escape_debug())?;
        }
        for problem in &report.problems {
            writeln!(f, "  error    {}", problem.escape_debug())?;
        }
        Ok(())
    }
}
