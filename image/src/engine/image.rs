//! What is run: a bare module, or one out of an image. Makes the root folder, and says with which arguments and in which
//! environment crun would start it.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::unpack::{Unpacker, copy};
use super::{RunError, RunPlan};
use crate::inspect::source::Source;
use crate::inspect::unpack::Compression;
use crate::inspect::{ConfigSummary, Limits, Node, Severity, inspect};
use crate::module::AotSection;
use crate::module::ModuleSummary;
use crate::platform::Platform;
use crate::{aot, spec};

/// What begins every module. <https://webassembly.github.io/spec/core/binary/modules.html#binary-module>
const MAGIC: &[u8; 4] = b"\0asm";

/// A root folder with a module in it.
#[derive(Default)]
pub(super) struct Prepared {
    /// The module, beneath the root.
    pub module: PathBuf,
    /// Its arguments; the first is its own name.
    pub argv: Vec<String>,
    /// `K=V`, in order.
    pub env: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The code that was compiled ahead of time, if there is any.
    pub compiled: Option<AotSection>,
}

/// What is at a path.
pub(crate) enum Kind {
    /// A file that begins as modules do.
    Module,
    /// Something else: an image, if anything.
    Image,
}

impl Kind {
    pub(crate) fn of(path: &Path) -> Result<Self, RunError> {
        let cannot = || RunError::io(format!("open {}", path.display()));
        let metadata = path.metadata().map_err(cannot())?;
        let mut start = Vec::new();
        if metadata.is_file() {
            let file = File::open(path).map_err(cannot())?;
            file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(cannot())?;
        }
        Ok(if start == MAGIC { Self::Module } else { Self::Image })
    }
}

/// Fills `root`.
pub(super) fn prepare(plan: &RunPlan, root: &Path) -> Result<Prepared, RunError> {
    let mut prepared = match Kind::of(&plan.source)? {
        Kind::Module => bare(&plan.source, root)?,
        Kind::Image => unpack(plan, root)?,
    };
    if !plan.args.is_empty() {
        prepared.argv.truncate(1);
        prepared.argv.extend(plan.args.iter().cloned());
    }
    for pair in &plan.env {
        prepared.env.retain(|old| old.split('=').next() != Some(pair.key()));
        prepared.env.push(pair.to_string());
    }
    if prepared.argv.iter().chain(&prepared.env).any(|text| text.contains('\0')) {
        return Err(RunError::Nul);
    }
    judge(&mut prepared, root)?;
    Ok(prepared)
}

fn bare(path: &Path, root: &Path) -> Result<Prepared, RunError> {
    // An argument says what it was called by; any name will do for one that cannot be said.
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("module.wasm");
    let mut file = File::open(path).map_err(RunError::io(format!("open {}", path.display())))?;
    copy(&mut file, &root.join(name)).map_err(RunError::io(format!("copy {}", path.display())))?;
    Ok(Prepared { module: name.into(), argv: vec![format!("/{name}")], ..Prepared::default() })
}

fn unpack(plan: &RunPlan, root: &Path) -> Result<Prepared, RunError> {
    let chosen = choose(&plan.source, plan.platform.as_ref())?;
    let mut unpacker = Unpacker::new(root.to_owned());
    let (source, _) = Source::open(&plan.source, &Limits::default())?;
    for (path, how) in &chosen.layers {
        let member = source.member(path).map_err(|problem| RunError::Layer(problem.to_string()))?;
        unpacker.layer(member.reader, *how)?;
    }
    let mut config = chosen.config;
    // As a runtime puts them together: without an entry point, the command is all.
    let mut argv = std::mem::take(&mut config.entrypoint);
    if argv.is_empty() || plan.args.is_empty() {
        argv.append(&mut config.cmd);
    }
    let entry = argv.first().ok_or(RunError::NoEntry)?;
    if !spec::WASM_ENTRY_SUFFIXES.iter().any(|suffix| entry.ends_with(suffix)) {
        return Err(RunError::NativeEntry(entry.chars().take(160).collect()));
    }
    // crun looks for it from the root on; the kernel's and the engine's walls are what keep it there.
    let module = entry.trim_start_matches('/').into();
    Ok(Prepared { module, argv, env: config.env, notes: unpacker.notes, compiled: None })
}

/// One platform's part of an image that was found to be sound.
pub(crate) struct Chosen {
    pub config: ConfigSummary,
    pub annotations: std::collections::BTreeMap<String, String>,
    /// Where each layer is, and how it is compressed.
    pub layers: Vec<(String, Compression)>,
}

/// Verifies the image at `path` and chooses what is for `wanted`, or for this machine.
pub(crate) fn choose(path: &Path, wanted: Option<&Platform>) -> Result<Chosen, RunError> {
    let report = inspect(path, &Limits::default())?;
    if let Some(finding) =
        report.findings.iter().find(|finding| finding.problem.severity() == Severity::Error)
    {
        let problem = finding.problem.to_string().escape_debug().to_string();
        return Err(RunError::Unsound { path: path.to_owned(), problem });
    }
    // What is about an image is none.
    let images: Vec<Node> = report.images.into_iter().filter(|image| image.subject.is_none()).collect();
    let count = images.len();
    let Some(image) = images.into_iter().next().filter(|_| count == 1) else {
        return Err(RunError::HowMany { path: path.to_owned(), count });
    };
    let mut manifests = Vec::new();
    collect(image, &mut manifests);
    let choices: Vec<String> = match wanted {
        Some(wanted) => vec![wanted.to_string()],
        None => [Platform::of_this_machine(), Platform::of_wasi()].iter().map(Platform::to_string).collect(),
    };
    let position =
        choices.iter().find_map(|choice| manifests.iter().position(|(platform, _)| platform == choice));
    let Some(position) = position else {
        let found = manifests.iter().map(|(platform, _)| platform.escape_debug().to_string()).collect();
        return Err(RunError::Platform { path: path.to_owned(), wanted: choices.join(" or "), found });
    };
    let manifest = manifests.swap_remove(position).1;
    let mut chosen = Chosen {
        config: ConfigSummary::default(),
        annotations: manifest.document_annotations,
        layers: Vec::new(),
    };
    for child in manifest.children {
        match (child.config, child.digest) {
            (Some(config), _) => chosen.config = config,
            (None, Some(digest)) => {
                let how = Compression::of_media_type(&child.media_type);
                let how =
                    how.ok_or_else(|| RunError::LayerType(child.media_type.chars().take(160).collect()))?;
                chosen.layers.push((digest.blob_path(), how));
            }
            (None, None) => {}
        }
    }
    Ok(chosen)
}

/// All manifests that hang on a node, each with its platform.
fn collect(node: Node, manifests: &mut Vec<(String, Node)>) {
    if matches!(node.media_type.as_str(), spec::MEDIA_MANIFEST | spec::MEDIA_DOCKER_MANIFEST) {
        let of_config = node.children.iter().find_map(|child| child.config.as_ref());
        let platform = node.platform.clone().or_else(|| of_config.map(|config| config.platform.clone()));
        manifests.push((platform.unwrap_or_default(), node));
    } else {
        node.children.into_iter().for_each(|child| collect(child, manifests));
    }
}

/// Refuses what the engine could not run, with a better reason than the engine's.
fn judge(prepared: &mut Prepared, root: &Path) -> Result<(), RunError> {
    let shown = || format!("/{}", prepared.module.display()).escape_debug().to_string();
    let refuse = |source| RunError::Module { path: shown(), source };
    // Opened as the engine will see it: a link in an image leads nowhere but into the image.
    let file = rustix::fs::openat2(
        File::open(root).map_err(RunError::io("open the root"))?,
        &prepared.module,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NONBLOCK,
        rustix::fs::Mode::empty(),
        rustix::fs::ResolveFlags::IN_ROOT | rustix::fs::ResolveFlags::NO_MAGICLINKS,
    );
    let file = File::from(file.map_err(RunError::io(format!("open {} of the image", shown())))?);
    let summary = ModuleSummary::read(BufReader::new(&file)).map_err(refuse)?;
    summary.require_command().map_err(refuse)?;
    summary.require_wasi_imports().map_err(refuse)?;
    let compiled = aot::find(&file).map_err(|error| refuse(error.into()))?;
    prepared.compiled = compiled;
    Ok(())
}
