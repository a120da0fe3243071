//! The inputs: opened, and judged before anything is written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::{AllowedImports, BuildError, CompiledModule, Contents, NativeBinary, Recipe};
use crate::aot::{self, AotError};
use crate::elf;
use crate::module::ModuleSummary;
use crate::platform::Platform;
use crate::settings::EntryName;

/// Permission bits of a module: read by its runtime, never executed by the kernel.
const MODULE_MODE: u32 = 0o644;
/// Permission bits of a binary.
const NATIVE_MODE: u32 = 0o755;

/// The inputs, opened once and judged: what was checked is what gets packed.
pub(super) struct Program {
    pub file_name: String,
    pub mode: u32,
    pub parts: Vec<Part>,
}

/// One input and the platforms that it serves.
pub(super) struct Part {
    pub file: File,
    pub platforms: Vec<Platform>,
    /// Which engine compiled it, where it holds compiled code and that is known.
    pub compiled_by: Option<String>,
}

impl Program {
    pub(super) fn open(recipe: &Recipe) -> Result<Self, BuildError> {
        match &recipe.contents {
            Contents::Module { path, imports, compiled } => {
                Self::module(path, *imports, compiled, recipe.name.as_ref())
            }
            Contents::Native(binaries) => Self::native(binaries, recipe.name.as_ref()),
        }
    }

    fn module(
        path: &Path,
        imports: AllowedImports,
        compiled: &[CompiledModule],
        name: Option<&EntryName>,
    ) -> Result<Self, BuildError> {
        let file = open(path)?;
        let refuse = |source| BuildError::Module { path: path.to_owned(), source };
        let summary = ModuleSummary::read(BufReader::new(&file)).map_err(refuse)?;
        summary.require_command().map_err(refuse)?;
        if imports == AllowedImports::Wasi {
            let refuse = |source| BuildError::Imports { path: path.to_owned(), source };
            summary.require_wasi_imports().map_err(refuse)?;
        }
        let name = name.cloned().map_or_else(|| EntryName::of_file(path), Ok)?;
        let mut portable = Part { file, platforms: Platform::of_module_images().into(), compiled_by: None };
        let mut parts = Vec::new();
        let mut seen = BTreeSet::new();
        for module in compiled {
            if !seen.insert(&module.platform) {
                return Err(BuildError::SameCompiled(module.platform.clone()));
            }
            parts.push(compiled_part(module, path, &portable.file)?);
            portable.platforms.retain(|platform| *platform != module.platform);
        }
        parts.push(portable);
        Ok(Self { file_name: name.module_file(), mode: MODULE_MODE, parts })
    }

    fn native(binaries: &[NativeBinary], name: Option<&EntryName>) -> Result<Self, BuildError> {
        let mut name = name.cloned();
        let named = name.is_some();
        let mut parts = Vec::new();
        let mut seen = BTreeSet::new();
        for binary in binaries {
            let file = open(&binary.path)?;
            let platform = elf::check_static(&mut BufReader::new(&file), binary.platform.as_ref())
                .map_err(|source| BuildError::Native { path: binary.path.clone(), source })?;
            if !seen.insert(platform.clone()) {
                return Err(BuildError::SamePlatform(platform));
            }
            if !named {
                let own = EntryName::of_file(&binary.path)?;
                match &name {
                    Some(first) if *first != own => {
                        return Err(BuildError::DifferentNames(first.clone(), own));
                    }
                    _ => name = Some(own),
                }
            }
            parts.push(Part { file, platforms: vec![platform], compiled_by: None });
        }
        let name = name.filter(|_| !parts.is_empty()).ok_or(BuildError::Nothing)?;
        Ok(Self { file_name: name.native_file()?, mode: NATIVE_MODE, parts })
    }

    pub(super) fn files(&self) -> Result<Vec<File>, BuildError> {
        self.parts.iter().map(|part| part.file.try_clone().map_err(BuildError::Write)).collect()
    }
}

/// A compiled module, held against the portable one.
fn compiled_part(module: &CompiledModule, portable: &Path, file: &File) -> Result<Part, BuildError> {
    let CompiledModule { platform, path, compiled_by } = module;
    let refuse =
        |source: AotError| BuildError::Compiled { path: path.clone(), platform: platform.clone(), source };
    if aot::find(file).map_err(|error| refuse(error.into()))?.is_some() {
        return Err(BuildError::AlreadyCompiled(portable.to_owned()));
    }
    let compiled = open(path)?;
    aot::check(file, &compiled, platform).map_err(refuse)?;
    // Valid it is: the portable module is, and what follows is one custom section of the right length.
    Ok(Part { file: compiled, platforms: vec![platform.clone()], compiled_by: compiled_by.clone() })
}

pub(super) fn open(path: &Path) -> Result<File, BuildError> {
    let at = |source| BuildError::Open { path: path.to_owned(), source };
    // Asked before it is opened: opening a FIFO would wait for its writer.
    if !path.metadata().map_err(at)?.is_file() {
        return Err(BuildError::NotAFile(path.to_owned()));
    }
    File::open(path).map_err(at)
}
