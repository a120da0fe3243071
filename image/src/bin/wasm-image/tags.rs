//! `wasm-image tags`

use std::fmt;
use std::process::ExitCode;

use anyhow::Context;
use wasm_image::{Reference, RegistryClient};

use crate::output::Format;
use crate::progress;
use crate::registry_args::{self, EXIT_CODES, RegistryArgs};

/// List the tags of a repository
#[derive(clap::Args)]
#[command(after_help = HELP, after_long_help = HELP.to_owned() + "\n" + EXIT_CODES)]
pub(crate) struct Args {
    /// The repository; a tag or digest in it does not count
    #[arg(value_name = "REPOSITORY")]
    reference: Reference,

    /// Most tags that are taken from the registry
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    limit: usize,

    #[command(flatten)]
    registry: RegistryArgs,

    /// How the result is printed
    #[arg(long = "output", short, value_enum, default_value_t)]
    output: Format,
}

const HELP: &str = "\
Examples:
  wasm-image tags ghcr.io/me/hello
  wasm-image tags localhost:5000/hello --plain-http -o json | jq -r '.tags[]'
";

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let options = self.registry.options(progress::reporter(self.registry.quiet))?;
        let (registry, repository) = (self.reference.registry(), self.reference.repository());
        let repository_name = format!("{registry}/{repository}");
        registry_args::wait(async {
            let client = RegistryClient::new(registry, options)?;
            let tags = client.tags(repository, self.limit).await?;
            self.output.print(&Tags { repository: repository_name.clone(), tags })?;
            Ok(ExitCode::SUCCESS)
        })
        .with_context(|| format!("cannot list the tags of {repository_name}"))
    }
}

#[derive(serde::Serialize)]
struct Tags {
    repository: String,
    tags: Vec<String>,
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A registry's own words: escaped.
        self.tags.iter().try_for_each(|tag| writeln!(f, "{}", tag.escape_debug()))
    }
}
