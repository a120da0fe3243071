//! Ahead-of-time compilation for this machine's architecture, and what an image that is to be compiled is made of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tempfile::TempDir;
use wasmedge_sdk::config::{CompilerConfigOptions, ConfigBuilder};
use wasmedge_sdk::error::WasmEdgeError;
use wasmedge_sdk::utils::CoreVersion;
use wasmedge_sdk::{Compiler, CompilerOptimizationLevel, CompilerOutputFormat, LogManager};

use super::image::{Chosen, Kind, choose};
use super::unpack::Unpacker;
use super::{EngineVersion, RunError};
use crate::inspect::Limits;
use crate::inspect::source::Source;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::settings::{KeyValue, SettingError};
use crate::{AllowedImports, CompiledModule, Contents, ModuleError, ModuleSummary, Recipe, spec};

/// Most folders within one another where the module of an image is looked for.
const MAX_DEPTH: usize = 64;

/// How hard the compiler tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Optimization(CompilerOptimizationLevel);

/// Which processors the code is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cpu {
    /// All of the architecture.
    #[default]
    Generic,
    /// Those like this machine's: on another one, the code may end by an illegal instruction.
    Native,
}

/// Why a module was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// What is to be compiled is not to be had.
    #[error(transparent)]
    Source(#[from] RunError),
    /// The module is refused.
    #[error("cannot compile {path}")]
    Module {
        /// The module.
        path: PathBuf,
        /// Why not.
        source: ModuleError,
    },
    /// Something of this machine failed us.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Compiled code would not be run.
    #[error(
        "{0} interprets modules, compiled or not, unless its caller asks otherwise, which crun does not: compile with \
         an engine before 0.17, or say --allow-interpreted"
    )]
    Interpreting(EngineVersion),
    /// A platform that is not this machine's.
    #[error(
        "code for {wanted} cannot be compiled on this machine, which is {own}: compile it on such a machine and give it \
         with --compiled {wanted}=FILE"
    )]
    OtherMachine {
        /// What was asked for.
        wanted: Box<Platform>,
        /// What this is.
        own: Box<Platform>,
    },
    /// The image is more than its module.
    #[error(
        "{0} holds more than its module, and the compiled image would not: build one from the module alone"
    )]
    MoreThanModule(PathBuf),
    /// The image's own words are none that a recipe takes.
    #[error("the image's configuration cannot be taken over")]
    Setting(#[from] SettingError),
    /// The engine's verdict.
    #[error("the engine cannot compile the module: {0}")]
    Engine(#[source] Box<WasmEdgeError>),
}

impl FromStr for Optimization {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "0" => CompilerOptimizationLevel::O0,
            "1" => CompilerOptimizationLevel::O1,
            "2" => CompilerOptimizationLevel::O2,
            "3" => CompilerOptimizationLevel::O3,
            "s" => CompilerOptimizationLevel::Os,
            "z" => CompilerOptimizationLevel::Oz,
            _ => return Err("expected 0, 1, 2, 3, s or z".to_owned()),
        }))
    }
}

impl EngineVersion {
    /// The version of the engine that this program is linked with.
    pub fn linked() -> Self {
        Self { major: CoreVersion::major(), minor: CoreVersion::minor(), patch: CoreVersion::patch() }
    }
}

/// A folder for what is compiled, until the image is built.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes it.
    pub fn new() -> Result<Self, CompileError> {
        let folder = tempfile::Builder::new().prefix("wasm-image-compile-").tempdir();
        Ok(Self(folder.map_err(io_error("make a temporary folder"))?))
    }
}

/// Compiles `module`, which is portable, for this machine's architecture, into `scratch`.
pub fn compile(
    module: &Path,
    optimization: Optimization,
    cpu: Cpu,
    scratch: &Scratch,
) -> Result<CompiledModule, CompileError> {
    let engine = EngineVersion::linked();
    // The engine wants a certain name, and a file that nobody changes meanwhile.
    let copy = scratch.0.path().join("portable.wasm");
    fs::copy(module, &copy).map_err(io_error("copy the module"))?;
    let refuse = |source| CompileError::Module { path: module.to_owned(), source };
    let file = fs::File::open(&copy).map_err(io_error("read the module"))?;
    ModuleSummary::read(io::BufReader::new(file))
        .and_then(|summary| summary.require_command())
        .map_err(refuse)?;
    // The engine's own progress goes to standard output, which is the result's.
    LogManager::log_off();
    let options = CompilerConfigOptions::default()
        .out_format(CompilerOutputFormat::Wasm)
        .optimization_level(optimization.0)
        .generic_binary(cpu == Cpu::Generic);
    let path = ConfigBuilder::default()
        .with_compiler_config(options)
        .build()
        .and_then(|config| Compiler::new(Some(&config)))
        .and_then(|compiler| compiler.compile_from_file(&copy, "compiled", scratch.0.path()))
        .map_err(CompileError::Engine)?;
    Ok(CompiledModule { platform: Platform::of_this_machine(), path, compiled_by: Some(engine.to_string()) })
}

/// What the portable image of `source`, a module, a layout or an archive, is made of, under a new name.
pub fn portable_recipe(
    source: &Path,
    reference: Reference,
    scratch: &Scratch,
) -> Result<Recipe, CompileError> {
    let chosen = match Kind::of(source)? {
        Kind::Module => None,
        Kind::Image => Some(choose_portable(source)?),
    };
    let mut recipe = Recipe::new(contents(source.to_owned()), reference);
    let Some(chosen) = chosen else { return Ok(recipe) };
    recipe.contents = contents(only_file(source, &chosen, &scratch.0.path().join("root"))?);
    let config = chosen.config;
    if let Some(user) = config.user.filter(|user| !user.is_empty()) {
        recipe.user = user.parse()?;
    }
    let pair = |text: String| text.parse::<KeyValue>();
    recipe.env = config.env.into_iter().map(pair).collect::<Result<_, _>>()?;
    recipe.args = config.entrypoint.into_iter().skip(1).chain(config.cmd).collect();
    let pairs = |map: std::collections::BTreeMap<String, String>| {
        map.into_iter().map(|(key, value)| pair(format!("{key}={value}"))).collect::<Result<_, _>>()
    };
    recipe.labels = pairs(config.labels)?;
    recipe.annotations = pairs(chosen.annotations)?;
    recipe.created = config.created.and_then(|created| created.parse().ok());
    Ok(recipe)
}

fn contents(path: PathBuf) -> Contents {
    Contents::Module { path, imports: AllowedImports::Wasi, compiled: Vec::new() }
}

/// Of several platforms, the one whose module is never a compiled one.
fn choose_portable(source: &Path) -> Result<Chosen, RunError> {
    let mut chosen = match choose(source, Some(&Platform::of_wasi())) {
        Err(RunError::Platform { .. }) => choose(source, None)?,
        result => result?,
    };
    // Who compiled it is said anew, and that it is a module's image by whoever builds one.
    for key in [spec::ANNOTATION_COMPILED_BY, spec::ANNOTATION_WASM_VARIANT] {
        chosen.annotations.remove(key);
    }
    Ok(chosen)
}

/// Unpacks an image, which must hold one file: its entry point.
fn only_file(source: &Path, chosen: &Chosen, root: &Path) -> Result<PathBuf, CompileError> {
    fs::create_dir(root).map_err(io_error("make a folder"))?;
    let mut unpacker = Unpacker::new(root.to_owned());
    let (opened, _) = Source::open(source, &Limits::default()).map_err(RunError::from)?;
    for (path, how) in &chosen.layers {
        let member = opened.member(path).map_err(|problem| RunError::Layer(problem.to_string()))?;
        unpacker.layer(member.reader, *how)?;
    }
    let entry = chosen.config.entrypoint.first().ok_or(RunError::NoEntry)?;
    let mut files = Vec::new();
    walk(root, 0, &mut files).map_err(io_error("look through the image"))?;
    let only = |files: &[PathBuf]| match files {
        [file]
            if file.strip_prefix(root).is_ok_and(|path| path == Path::new(entry.trim_start_matches('/'))) =>
        {
            Some(file.clone())
        }
        _ => None,
    };
    only(&files)
        .filter(|_| unpacker.notes.is_empty())
        .ok_or_else(|| CompileError::MoreThanModule(source.to_owned()))
}

/// All that is no folder.
fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && depth < MAX_DEPTH {
            walk(&entry.path(), depth + 1, files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn io_error(action: &'static str) -> impl FnOnce(io::Error) -> CompileError {
    move |source| CompileError::Io { action, source }
}
