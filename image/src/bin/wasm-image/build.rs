//! `wasm-image build`

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, bail};
use wasm_image::{
    AllowedImports, BuildError, BuildFormat, Built, CompiledModule, Contents, EntryName, KeyValue,
    NativeBinary, Output, Platform, Recipe, Reference, Sbom, Setting, Timestamp, User, spec,
};

use crate::output::Format;

/// Build an image from a WebAssembly module, or from static binaries
///
/// A module gives one image for linux/amd64, linux/arm64 and wasi/wasm. Equal input gives equal digests: no time is
/// recorded unless SOURCE_DATE_EPOCH or --created says one. The output appears when it is complete, or not at all;
/// an older image in its place is replaced.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The module: a WASI preview 1 command (wasm32-wasip1)
    #[arg(required_unless_present = "native", conflicts_with = "native")]
    module: Option<PathBuf>,

    /// Pack a static binary instead of a module; repeat it for several platforms
    #[arg(long, value_name = "[PLATFORM=]BINARY")]
    native: Vec<NativeArg>,

    /// The platform of a --native binary that names none [default: what its ELF header says]
    #[arg(long, requires = "native", value_name = "OS/ARCH")]
    platform: Option<Platform>,

    /// The module compiled ahead of time for a platform, which then gets it; all others get the portable one. It must be
    /// that module with WasmEdge's section of code. A node's engine runs that code unchecked. Repeatable
    #[arg(long, conflicts_with = "native", value_name = "PLATFORM=FILE")]
    compiled: Vec<CompiledArg>,

    /// Which engine compiled the --compiled modules: an annotation of their manifests
    #[arg(long, requires = "compiled", value_name = "ENGINE VERSION")]
    compiled_by: Option<String>,

    /// The image's name and tag
    #[arg(long, value_name = "REFERENCE")]
    tag: Reference,

    /// The form of a module's image
    #[arg(long, value_enum, default_value_t, conflicts_with = "native")]
    format: FormatArg,

    /// An image layout in this folder, or an oci-archive if it ends in .tar
    #[arg(long, value_name = "DIR|FILE.tar")]
    output: PathBuf,

    /// Write an oci-archive whatever the output's name
    #[arg(long)]
    archive: bool,

    /// The name of the file in the image [default: the input's, without .wasm]
    #[arg(long)]
    name: Option<EntryName>,

    /// Who runs it: uid or uid:gid [default: 65532:65532]
    #[arg(long)]
    user: Option<User>,

    /// Add to the environment; may be repeated
    #[arg(long, value_name = "K=V")]
    env: Vec<KeyValue>,

    /// A default argument after the entry point; may be repeated
    #[arg(long = "arg", visible_alias = "cmd", value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,

    /// Add a label to the configuration; may be repeated
    #[arg(long, value_name = "K=V")]
    label: Vec<KeyValue>,

    /// Add an annotation to index and manifests, or replace a standard one; may be repeated
    #[arg(long, value_name = "K=V")]
    annotation: Vec<KeyValue>,

    /// The version of what is packed [default: the tag]
    #[arg(long, value_name = "VERSION")]
    image_version: Option<String>,

    /// The licences of what is packed, an SPDX expression
    #[arg(long, value_name = "SPDX")]
    licenses: Option<String>,

    /// When the image was made, RFC 3339 [default: SOURCE_DATE_EPOCH if set, else not recorded]
    #[arg(long, value_name = "TIME")]
    created: Option<Timestamp>,

    /// Seconds since 1970: the time of the files in tars, and of the image
    #[arg(long, env = spec::ENV_SOURCE_DATE_EPOCH, value_name = "SECONDS", hide_env_values = true)]
    source_date_epoch: Option<Timestamp>,

    /// Accept imports from modules other than wasi_snapshot_preview1
    #[arg(long, conflicts_with = "native")]
    allow_imports: bool,

    /// Attach what the program is made of, a CycloneDX document in JSON: to the image, or to one platform's manifest;
    /// may be repeated
    #[arg(long, value_name = "[PLATFORM=]FILE")]
    sbom: Vec<SbomArg>,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    print: Format,
}

const HELP: &str = "\
Examples:
  wasm-image build hello.wasm --tag localhost/hello:dev --output hello.tar
  wasm-image build hello.wasm --tag ghcr.io/me/hello:1.0 --output hello/ --licenses Apache-2.0 \\
      --annotation org.opencontainers.image.source=https://github.com/me/hello
  wasm-image build hello.wasm --format artifact --tag ghcr.io/me/hello:1.0 --output hello.tar
  wasm-image build --native akri-proxy --tag localhost/akri-proxy:dev --output proxy.tar --user 0 --arg serve
  wasm-image build --native linux/amd64=a/proxy --native linux/arm64=b/proxy \\
      --tag localhost/proxy:dev --output proxy.tar

Exit codes: 0 built, 1 failed (no output is left), 2 the command line is wrong";

/// [`BuildFormat`], as the command line has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum FormatArg {
    /// An ordinary image with the module as its entry point: for crun, youki, runwasi, Podman
    #[default]
    Compat,
    /// CNCF's wasm OCI artifact: for wkg, wasmCloud, runwasi
    Artifact,
    /// As wasm-to-oci pushed it: for Krustlet
    WasmToOci,
}

impl From<FormatArg> for BuildFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Compat => Self::Compat,
            FormatArg::Artifact => Self::Artifact,
            FormatArg::WasmToOci => Self::WasmToOci,
        }
    }
}

/// `BINARY` or `PLATFORM=BINARY`.
#[derive(Clone, Debug)]
struct NativeArg(NativeBinary);

impl FromStr for NativeArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Only what begins as a platform does is one: a path may hold an equals sign too.
        let binary = match text.split_once('=') {
            Some((platform, path)) if platform.starts_with("linux/") => {
                NativeBinary { platform: Some(platform.parse()?), path: path.into() }
            }
            _ => NativeBinary { platform: None, path: text.into() },
        };
        if binary.path.as_os_str().is_empty() {
            bail!("the path of the binary is empty");
        }
        Ok(Self(binary))
    }
}

/// `FILE` or `PLATFORM=FILE`.
#[derive(Clone, Debug)]
pub(crate) struct SbomArg(pub(crate) Sbom);

impl FromStr for SbomArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // As with --native: a path may hold an equals sign too.
        let sbom = match text.split_once('=') {
            Some((platform, path)) if platform.starts_with("linux/") => {
                Sbom { platform: Some(platform.parse()?), path: path.into() }
            }
            _ => Sbom { platform: None, path: text.into() },
        };
        if sbom.path.as_os_str().is_empty() {
            bail!("the path of the document is empty");
        }
        Ok(Self(sbom))
    }
}

/// `PLATFORM=FILE`
#[derive(Clone, Debug)]
pub(crate) struct CompiledArg {
    platform: Platform,
    path: PathBuf,
}

impl CompiledArg {
    /// As a recipe has it.
    pub(crate) fn module(self, compiled_by: Option<String>) -> CompiledModule {
        CompiledModule { platform: self.platform, path: self.path, compiled_by }
    }
}

impl FromStr for CompiledArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (platform, path) = text.split_once('=').context("expected PLATFORM=FILE")?;
        if path.is_empty() {
            bail!("the path of the compiled module is empty");
        }
        Ok(Self { platform: platform.parse()?, path: path.into() })
    }
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let format = self.print;
        let output = if self.archive {
            Output::Archive(self.output.clone())
        } else {
            Output::from_path(self.output.clone())
        };
        let format_of_image = BuildFormat::from(self.format);
        // Also where it says what would be the default: it would be lost.
        if self.user.is_some() && format_of_image != BuildFormat::Compat {
            return Err(BuildError::NotCarried { format: format_of_image, setting: Setting::User })
                .with_context(|| format!("cannot build {}", self.tag));
        }
        let recipe = self.recipe();
        let built = wasm_image::build(&recipe, &output)
            .with_context(|| format!("cannot build {}", recipe.reference))?;
        format.print(&Summary(built))?;
        Ok(ExitCode::SUCCESS)
    }

    fn recipe(self) -> Recipe {
        let default = self.platform;
        let contents = match self.module {
            Some(path) => {
                let imports = if self.allow_imports { AllowedImports::Any } else { AllowedImports::Wasi };
                let compiled = self.compiled.into_iter();
                let compiled = compiled.map(|arg| arg.module(self.compiled_by.clone())).collect();
                Contents::Module { path, imports, compiled }
            }
            None => Contents::Native(
                self.native
                    .into_iter()
                    .map(|NativeArg(binary)| NativeBinary {
                        platform: binary.platform.or_else(|| default.clone()),
                        path: binary.path,
                    })
                    .collect(),
            ),
        };
        Recipe {
            contents,
            reference: self.tag,
            name: self.name,
            user: self.user.unwrap_or_default(),
            env: self.env,
            args: self.args,
            labels: self.label,
            annotations: self.annotation,
            version: self.image_version,
            licenses: self.licenses,
            created: self.created.or(self.source_date_epoch),
            modified: self.source_date_epoch.unwrap_or_default(),
            format: self.format.into(),
            sboms: self.sbom.into_iter().map(|SbomArg(sbom)| sbom).collect(),
        }
    }
}

/// What was built, printed.
#[derive(serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Summary(pub(crate) Built);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let built = &self.0;
        writeln!(f, "{}", built.reference)?;
        writeln!(f, "  output      {}", built.path.display())?;
        writeln!(f, "  digest      {}", built.digest)?;
        writeln!(f, "  size        {} bytes in all", built.size)?;
        if let Some(entrypoint) = &built.entrypoint {
            writeln!(f, "  entrypoint  {entrypoint}")?;
        }
        if built.format != BuildFormat::Compat {
            writeln!(f, "  format      {}", built.format.as_str())?;
        }
        for manifest in &built.manifests {
            let platform = manifest.platform.to_string();
            write!(f, "  {platform:<11} {}, layer of {} bytes", manifest.digest, manifest.layer_size)?;
            match &manifest.compiled_by {
                Some(engine) => writeln!(f, ", compiled by {engine}")?,
                None => writeln!(f)?,
            }
        }
        for referrer in &built.referrers {
            let about = referrer.platform.as_ref().map(|platform| format!(" about {platform}"));
            writeln!(
                f,
                "  attached    {}, {}{}",
                referrer.digest,
                referrer.artifact_type,
                about.unwrap_or_default()
            )?;
        }
        Ok(())
    }
}
