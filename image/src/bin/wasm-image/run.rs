//! `wasm-image run`

use std::path::PathBuf;
use std::process::ExitCode;

use wasm_image::engine::{ByteSize, TimeLimit, Volume};
use wasm_image::{KeyValue, Platform};

use crate::registry_args::RegistryArgs;

/// Run a module, or an image of one, as crun would, on WasmEdge
///
/// The image's root filesystem is unpacked into a temporary folder that is the module's root; volumes lie beneath it.
/// It gets its own name and the image's arguments or the given ones, the image's environment and the given one, and
/// nothing of this machine's but what it is given: no /proc, no /dev, no user or working directory of the image; the
/// network is this machine's. All that it changed, but for volumes, is gone afterwards.
#[derive(clap::Args)]
#[command(after_help = HELP)]
// Without the engine, nothing reads them.
#[cfg_attr(not(feature = "wasmedge"), allow(dead_code, reason = "they are read by the engine only"))]
pub(crate) struct Args {
    /// A module, an image layout, an oci-archive, or an image of a registry
    #[arg(value_name = "MODULE.wasm|LAYOUT|ARCHIVE|REFERENCE")]
    source: PathBuf,

    /// Arguments in place of the image's own
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,

    /// Add to the environment; may be repeated
    #[arg(long, short, value_name = "K=V")]
    env: Vec<KeyValue>,

    /// Add K=V lines of a file to the environment; empty lines and those that begin with # do not count; may be repeated
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,

    /// Show the module a folder or file of this machine, with :ro not to be changed; may be repeated
    #[arg(long, short, value_name = "HOST:GUEST[:ro]")]
    volume: Vec<Volume>,

    /// End it after this time, whatever it does: 500ms, 30s, 5m, 1h
    #[arg(long, value_name = "TIME")]
    time_limit: Option<TimeLimit>,

    /// Most memory: the module's own cannot grow over it, and its process may take 256 MiB more for the engine and the
    /// module's tables. Shared libraries and files that it reads do not count
    #[arg(long, value_name = "BYTES")]
    memory_limit: Option<ByteSize>,

    /// Which platform's module of the image [default: this machine's, else wasi/wasm]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,

    /// Run the module's ahead-of-time compiled code, as crun does. It is native code that nobody checks: it can do all
    /// that you can. Without this, the module is interpreted
    #[arg(long)]
    aot: bool,

    /// Exit as a pod's container would under crun with WasmEdge: 0 whatever the module's exit code, 1 for a trap
    #[arg(long)]
    like_crun: bool,

    /// Do not give the module a mount namespace, where it has its root as the kernel's, too
    #[arg(long)]
    no_namespaces: bool,

    #[command(flatten)]
    registry: RegistryArgs,
}

const HELP: &str = "\
Examples:
  wasm-image run hello.wasm
  wasm-image run hello.tar -- --name you
  wasm-image run localhost:5000/hello:dev --plain-http
  wasm-image run -e LEVEL=debug -v ./data:/data:ro --time-limit 30s --memory-limit 64MiB hello.tar

Exit codes:
  0-255  the module's own (255 for those above); a pod under crun would say 0, which a note on stderr tells
  134    it trapped: a panic, or what no module may do; a pod would say 1
  124    the time limit
  125    wasm-image failed, or refused the module, and it did not begin
  128+n  the engine was ended by signal n (137: memory, perhaps), or we were (130: Ctrl-C, 143: SIGTERM)
  2      the command line is wrong
  1      this wasm-image was built without the engine";

#[cfg(not(feature = "wasmedge"))]
impl Args {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::bail!(crate::engine::MISSING)
    }
}

#[cfg(feature = "wasmedge")]
mod with_engine {
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::path::Path;

    use anyhow::{Context, ensure};
    use wasm_image::engine::{Ending, Namespaces, NativeCode, RunPlan, run};

    use super::*;
    use crate::fetched::Fetched;

    /// What failed before the module began exits with this, as with docker.
    const FAILED: u8 = 125;
    /// Most bytes of a file with variables.
    const MAX_ENV_FILE: u64 = 1 << 20;

    impl Args {
        pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
            let (like_crun, quiet) = (self.like_crun, self.registry.quiet);
            let shown = self.source.display().to_string();
            let ending = Fetched::get(&self.source, &self.registry, wasm_image::Referrers::Left)
                .and_then(|fetched| {
                    let plan = self.plan(fetched.path.clone())?;
                    Ok(run(&plan, &mut |note| say(note, quiet))?)
                })
                .with_context(|| format!("cannot run {shown}"));
            match ending {
                Ok(ending) => Ok(ExitCode::from(tell(&ending, like_crun, quiet))),
                Err(error) => {
                    say(&format!("{error:#}"), false);
                    Ok(ExitCode::from(FAILED))
                }
            }
        }

        fn plan(self, source: PathBuf) -> anyhow::Result<RunPlan> {
            let mut env = Vec::new();
            for path in &self.env_file {
                env.extend(
                    read_env(path)
                        .with_context(|| format!("cannot take variables from {}", path.display()))?,
                );
            }
            env.extend(self.env);
            Ok(RunPlan {
                source,
                platform: self.platform,
                args: self.args,
                env,
                volumes: self.volume,
                time_limit: self.time_limit,
                memory_limit: self.memory_limit,
                native_code: if self.aot { NativeCode::Trusted } else { NativeCode::Ignored },
                namespaces: if self.no_namespaces { Namespaces::Never } else { Namespaces::IfPossible },
            })
        }
    }

    fn read_env(path: &Path) -> anyhow::Result<Vec<KeyValue>> {
        let mut text = String::new();
        File::open(path)?.take(MAX_ENV_FILE + 1).read_to_string(&mut text)?;
        ensure!(text.len() as u64 <= MAX_ENV_FILE, "it has more than {MAX_ENV_FILE} bytes");
        let lines = text.lines().map(str::trim_end).enumerate();
        lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            // Not the line itself, which may hold a secret.
            .map(|(number, line)| line.parse().map_err(|_| anyhow::anyhow!("line {} is not K=V", number + 1)))
            .collect()
    }

    /// Says how it ended, where that is not plain from the exit code, and what a pod would have said.
    fn tell(ending: &Ending, like_crun: bool, quiet: bool) -> u8 {
        let (own, crun) = (ending.exit_code(), ending.under_crun());
        if *ending != Ending::Exited(0) {
            let lost =
                if own == crun { String::new() } else { format!("; a pod under crun would say {crun}") };
            say(&format!("{ending}{lost}"), quiet);
        }
        if like_crun { crun } else { own }
    }

    fn say(text: &str, quiet: bool) {
        if !quiet {
            // Nothing can be done if even this fails.
            let _ = writeln!(io::stderr(), "wasm-image: {text}");
        }
    }
}
