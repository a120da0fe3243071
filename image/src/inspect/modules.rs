//! The modules of an image, each looked into once, however many platforms share it.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::path::Path;

use super::source::Source;
use super::wire::Target;
use super::{Finding, InspectError, Limits, Node, Problem, Severity};
use crate::digest::Digest;
use crate::engines::{ImageFacts, Verdict, verdicts};
use crate::extract::choose::Candidate;
use crate::extract::store::Store;
use crate::extract::{ExtractError, ImageForm};
use crate::module::{MAGIC, ModuleError, ModuleReport};
use crate::print::Clean;
use crate::spec;

/// A module, where it was found, and who would run it.
#[derive(Debug, serde::Serialize)]
pub struct FoundModule {
    /// What it is.
    #[serde(flatten)]
    pub module: ModuleReport,
    /// The image that holds it, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageFacts>,
    /// The manifests that hold it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<Digest>,
    /// What each engine will do with it.
    pub engines: Vec<Verdict>,
}

/// Whether the file is a WebAssembly binary, by what it begins with. Of what is no regular file it says no.
pub(super) fn is_module(path: &Path) -> Result<bool, InspectError> {
    let at = |source| InspectError::Open { path: path.to_owned(), source };
    // Asked before it is opened: opening a FIFO would wait for its writer.
    if !path.metadata().map_err(at)?.is_file() {
        return Ok(false);
    }
    let mut start = [0; MAGIC.len()];
    let file = File::open(path).map_err(at)?;
    let length = std::os::unix::fs::FileExt::read_at(&file, &mut start, 0).map_err(at)?;
    Ok(start[..length] == *MAGIC)
}

/// Looks into a bare module.
pub(super) fn of_file(
    path: &Path,
    limits: &Limits,
) -> Result<(Option<FoundModule>, Vec<Finding>), InspectError> {
    let at = |source| InspectError::Open { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(at)?;
    let size = file.metadata().map_err(at)?.len();
    let finding = |problem| Finding { at: "module".to_owned(), problem };
    if size > limits.module {
        let problem = Problem::TooMany { what: "bytes of a module", limit: limits.module };
        return Ok((None, vec![finding(problem)]));
    }
    match ModuleReport::read(&mut file) {
        Ok(module) => {
            let invalid = module.invalid.clone().map(|reason| finding(Problem::InvalidModule(reason)));
            Ok((Some(FoundModule::new(module, None)), invalid.into_iter().collect()))
        }
        Err(ModuleError::Io(source)) => Err(at(source)),
        Err(error) => Ok((None, vec![finding(Problem::Module(error))])),
    }
}

/// Looks into the modules of all manifests beneath `images`, and says which could not be looked into.
pub(super) fn of_images(
    source: &Source,
    limits: &Limits,
    images: &[Node],
) -> (Vec<FoundModule>, Vec<Finding>) {
    let mut search = Search {
        store: Store::new(source, limits),
        seen: HashMap::new(),
        modules: Vec::new(),
        findings: Vec::new(),
    };
    for image in images {
        search.node(image);
    }
    for found in &mut search.modules {
        found.engines = verdicts(&found.module, found.image.as_ref());
    }
    (search.modules, search.findings)
}

struct Search<'a> {
    store: Store<'a>,
    /// What was looked at, and where it stands in `modules` if it is a module.
    seen: HashMap<String, Option<usize>>,
    modules: Vec<FoundModule>,
    findings: Vec<Finding>,
}

impl Search<'_> {
    fn node(&mut self, node: &Node) {
        match (node.media_type.as_str(), &node.digest) {
            (spec::MEDIA_MANIFEST | spec::MEDIA_DOCKER_MANIFEST, Some(digest)) => {
                let at = format!("manifest {digest}");
                match self.manifest(&at, node, digest) {
                    // What is damaged was found by the walk already.
                    Ok(()) | Err(ExtractError::Unsound { .. }) => {}
                    Err(error) => self.findings.push(Finding { at, problem: error.into() }),
                }
            }
            _ => node.children.iter().for_each(|child| self.node(child)),
        }
    }

    fn manifest(&mut self, at: &str, node: &Node, digest: &Digest) -> Result<(), ExtractError> {
        // What could not be unpacked was found by the walk already, or noted.
        if node.children.iter().any(|child| is_file_system(child) && child.diff_id.is_none()) {
            return Ok(());
        }
        let target = Target { digest: digest.clone(), size: node.size, media_type: node.media_type.clone() };
        let candidate = Candidate { at: at.to_owned(), target, platform: node.platform.clone() };
        let manifest = match self.store.manifest(&candidate) {
            Ok(manifest) => manifest,
            // An image of something else: an attestation, a chart, a native program in zstd.
            Err(_) if !claims_to_be_wasm(node) => return Ok(()),
            Err(error) => return Err(error),
        };
        let program = &manifest.program;
        if program.form == ImageForm::Compat && !claims_to_be_wasm(node) {
            return Ok(());
        }
        let facts = ImageFacts {
            format: program.form,
            platforms: manifest.platform.into_iter().collect(),
            entrypoint: program.entry.clone(),
            layer_type: program.layer_type.clone(),
        };
        let key = program.key();
        match self.seen.get(&key) {
            Some(None) => return Ok(()),
            Some(Some(index)) => {
                let found = &mut self.modules[*index];
                if !found.manifests.contains(digest) {
                    found.manifests.push(digest.clone());
                }
                if let Some(image) = &mut found.image {
                    let new =
                        facts.platforms.into_iter().find(|platform| !image.platforms.contains(platform));
                    image.platforms.extend(new);
                }
                return Ok(());
            }
            None => {}
        }
        self.seen.insert(key.clone(), None);
        let mut file = tempfile::tempfile().map_err(ExtractError::Write)?;
        program.copy(&self.store, &mut file)?;
        let name = program.name().chars().take(160).collect();
        let module = ModuleReport::read(&mut file).map_err(|error| ExtractError::Module(name, error))?;
        if let Some(reason) = module.invalid.clone() {
            self.findings.push(Finding { at: at.to_owned(), problem: Problem::InvalidModule(reason) });
        }
        self.seen.insert(key, Some(self.modules.len()));
        let mut found = FoundModule::new(module, Some(facts));
        found.manifests.push(digest.clone());
        self.modules.push(found);
        Ok(())
    }
}

fn is_file_system(layer: &Node) -> bool {
    let known = [spec::MEDIA_LAYER, spec::MEDIA_LAYER_GZIP, spec::MEDIA_LAYER_ZSTD, spec::MEDIA_DOCKER_LAYER];
    known.contains(&layer.media_type.as_str())
}

/// Whether a manifest says of itself that it holds a module: by its types, its annotation, or what it runs.
fn claims_to_be_wasm(manifest: &Node) -> bool {
    let wasm_types = [
        spec::MEDIA_WASM_CONFIG,
        spec::MEDIA_WASM_TO_OCI_CONFIG,
        spec::MEDIA_WASM_LAYER,
        spec::MEDIA_WASM_TO_OCI_LAYER,
        spec::MEDIA_RUNWASI_LAYER,
    ];
    let runs_wasm = |node: &Node| {
        let entry = node.config.as_ref().and_then(|config| config.entrypoint.first().or(config.cmd.first()));
        entry.is_some_and(|entry| {
            let file = entry.split('#').next().unwrap_or(entry);
            spec::WASM_ENTRY_SUFFIXES.iter().any(|suffix| file.ends_with(suffix))
        })
    };
    manifest.document_annotations.contains_key(spec::ANNOTATION_WASM_VARIANT)
        || manifest
            .children
            .iter()
            .any(|child| wasm_types.contains(&child.media_type.as_str()) || runs_wasm(child))
}

impl FoundModule {
    fn new(module: ModuleReport, image: Option<ImageFacts>) -> Self {
        let engines = verdicts(&module, image.as_ref());
        Self { module, image, manifests: Vec::new(), engines }
    }
}

impl From<ExtractError> for Problem {
    fn from(error: ExtractError) -> Self {
        Self::NotLookedInto(Box::new(error))
    }
}

impl Problem {
    pub(super) fn severity_of_extract(error: &ExtractError) -> Severity {
        match error {
            // What is run is there, and is no module: no engine will take it.
            ExtractError::Module(..) | ExtractError::MemberOutside { .. } => Severity::Error,
            _ => Severity::Note,
        }
    }
}

impl fmt::Display for FoundModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(image) = &self.image {
            let platforms = if image.platforms.is_empty() {
                "no platform".to_owned()
            } else {
                image.platforms.join(", ")
            };
            let entry =
                image.entrypoint.as_deref().map(|entry| format!(" {}", Clean(entry))).unwrap_or_default();
            writeln!(f, "module{entry} ({}; {})", image.format.as_str(), Clean(&platforms))?;
        }
        write!(f, "{}", self.module)?;
        for (number, verdict) in self.engines.iter().enumerate() {
            let head = if number == 0 { "engines" } else { "" };
            writeln!(f, "  {head:<10} {:<22} {verdict}", verdict.engine.as_str())?;
        }
        Ok(())
    }
}
