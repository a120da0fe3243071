//! `wasm-image compile`

use std::path::PathBuf;
use std::process::ExitCode;

use wasm_image::{Platform, Reference};

use crate::build::{CompiledArg, SbomArg};
use crate::output::Format;
use crate::registry_args::RegistryArgs;

/// Compile a module ahead of time, by WasmEdge, and build an image with it and the portable module
///
/// The image's manifest for this machine's architecture gets the compiled module; linux/arm64 or linux/amd64 without one,
/// and wasi/wasm, get the portable one. A compiled module is the portable one with a section of native code behind it.
/// From an image, all that it says of itself is taken over.
///
/// What that means for trust: an engine runs compiled code unchecked. The sandbox of WebAssembly does not hold it; the
/// container is the only wall left. Run such images only from those whom you would trust with a native binary.
///
/// crun with WasmEdge 0.17 or later interprets modules, compiled or not. This command refuses to compile with such an
/// engine, and nodes that have one gain nothing by the image.
#[derive(clap::Args)]
#[command(after_help = HELP)]
#[cfg_attr(not(feature = "wasmedge"), allow(dead_code, reason = "they are read by the engine only"))]
pub(crate) struct Args {
    /// A module, or an image layout, an oci-archive or a registry's image of one
    #[arg(value_name = "MODULE.wasm|LAYOUT|ARCHIVE|REFERENCE")]
    source: PathBuf,

    /// The new image's name and tag
    #[arg(long, value_name = "REFERENCE")]
    tag: Reference,

    /// An image layout in this folder, or an oci-archive if it ends in .tar
    #[arg(long, value_name = "DIR|FILE.tar")]
    output: PathBuf,

    /// Write an oci-archive whatever the output's name
    #[arg(long)]
    archive: bool,

    /// Compile for this platform, which must be this machine's; may be repeated [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Vec<Platform>,

    /// A module that was compiled elsewhere, for another platform; may be repeated
    #[arg(long, value_name = "PLATFORM=FILE")]
    compiled: Vec<CompiledArg>,

    /// Which engine compiled the --compiled modules: an annotation of their manifests
    #[arg(long, requires = "compiled", value_name = "ENGINE VERSION")]
    compiled_by: Option<String>,

    /// How hard the compiler tries: 0, 1, 2, 3, or for size s, z
    #[arg(long, default_value = "3", value_name = "LEVEL")]
    optimize: String,

    /// Which processors the code is for: all of the architecture, or those like this machine's
    #[arg(long, value_enum, default_value_t)]
    cpu: Cpu,

    /// Compile also with an engine that would not run the code (WasmEdge 0.17 or later)
    #[arg(long)]
    allow_interpreted: bool,

    /// Attach what the module is made of, a CycloneDX document in JSON; may be repeated
    #[arg(long, value_name = "[PLATFORM=]FILE")]
    sbom: Vec<SbomArg>,

    #[command(flatten)]
    registry: RegistryArgs,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    print: Format,
}

/// Which processors compiled code is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Cpu {
    /// All of the architecture.
    #[default]
    Generic,
    /// Those like this machine's: elsewhere the code may end by an illegal instruction.
    Native,
}

const HELP: &str = "\
Examples:
  wasm-image compile hello.wasm --tag localhost/hello:dev-aot --output hello-aot.tar
  wasm-image compile hello.tar --tag localhost/hello:dev-aot --output hello-aot.tar \\
      --compiled linux/arm64=hello-arm64.wasm --compiled-by 'wasmedge 0.14.1'

Exit codes: 0 built, 1 failed (no output is left) or built without the engine, 2 the command line is wrong";

#[cfg(not(feature = "wasmedge"))]
impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::bail!(crate::engine::MISSING)
    }
}

#[cfg(feature = "wasmedge")]
mod with_engine {
    use anyhow::Context;
    use wasm_image::engine::{self, CompileError, EngineVersion, Optimization, Scratch};
    use wasm_image::{Contents, Output};

    use super::*;
    use crate::build::Summary;
    use crate::fetched::Fetched;

    impl Args {
        pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
            let shown = self.source.display().to_string();
            self.compile().with_context(|| format!("cannot compile {shown}"))
        }

        fn compile(self) -> anyhow::Result<ExitCode> {
            let format = self.print;
            let output = if self.archive {
                Output::Archive(self.output.clone())
            } else {
                Output::from_path(self.output.clone())
            };
            let optimization: Optimization =
                self.optimize.parse().map_err(|reason| anyhow::anyhow!("--optimize: {reason}"))?;
            let (version, own) = (EngineVersion::linked(), Platform::of_this_machine());
            if !version.runs_compiled_code() && !self.allow_interpreted {
                return Err(CompileError::Interpreting(version).into());
            }
            if let Some(wanted) = self.platform.iter().find(|wanted| **wanted != own) {
                return Err(CompileError::OtherMachine {
                    wanted: Box::new(wanted.clone()),
                    own: Box::new(own),
                }
                .into());
            }
            let scratch = Scratch::new()?;
            let fetched = Fetched::get(&self.source, &self.registry, wasm_image::Referrers::Left)?;
            let mut recipe = engine::portable_recipe(&fetched.path, self.tag, &scratch)?;
            recipe.sboms = self.sbom.into_iter().map(|SbomArg(sbom)| sbom).collect();
            if let Contents::Module { path, compiled, .. } = &mut recipe.contents {
                let cpu = match self.cpu {
                    Cpu::Generic => engine::Cpu::Generic,
                    Cpu::Native => engine::Cpu::Native,
                };
                compiled.push(engine::compile(path, optimization, cpu, &scratch)?);
                let given = self.compiled.into_iter();
                compiled.extend(given.map(|arg| arg.module(self.compiled_by.clone())));
            }
            let built = wasm_image::build(&recipe, &output)?;
            format.print(&Summary(built))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
