//! What is asked of a guest module after each build: small enough, a WASI command, no foreign imports.

use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::{Path, PathBuf};

use crate::digest::HashingWriter;
use crate::layer;
use crate::module::{ModuleError, ModuleSummary};

/// The limits that a module is held against; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckLimits {
    /// Most bytes of the module.
    pub size: Option<u64>,
    /// Most bytes of the module after gzip.
    pub gzip: Option<u64>,
}

/// What was found out about a module.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CheckReport {
    /// The module's file.
    pub path: PathBuf,
    /// What it is.
    #[serde(flatten)]
    pub module: ModuleSummary,
    /// Its length after gzip, level 9.
    pub gzip_size: u64,
    /// The rules that it breaks, each in a line.
    pub problems: Vec<String>,
}

/// A rule that a module breaks.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{0} bytes are {over} over the limit of {1}", over = .0 - .1)]
    Size(u64, u64),
    #[error("{0} bytes after gzip are {over} over the limit of {1}", over = .0 - .1)]
    Gzip(u64, u64),
    #[error(transparent)]
    Module(ModuleError),
}

/// Reads the module at `path` and holds it against the rules; an error where it is no module at all.
pub fn check(path: &Path, limits: &CheckLimits) -> Result<CheckReport, ModuleError> {
    let mut file = File::open(path)?;
    let module = ModuleSummary::read(BufReader::new(&file))?;
    file.rewind()?;
    let gzip_size = gzip_size(&file)?;
    let over = |value: u64, limit: Option<u64>| limit.filter(|limit| value > *limit);
    let problems = [
        over(module.size, limits.size).map(|limit| Problem::Size(module.size, limit)),
        over(gzip_size, limits.gzip).map(|limit| Problem::Gzip(gzip_size, limit)),
        module.require_command().err().map(Problem::Module),
        module.require_wasi_imports().err().map(Problem::Module),
    ];
    let problems = problems.iter().flatten().map(Problem::to_string).collect();
    Ok(CheckReport { path: path.to_owned(), module, gzip_size, problems })
}

fn gzip_size(mut file: &File) -> io::Result<u64> {
    let mut encoder = layer::gzip(HashingWriter::new(io::sink()));
    io::copy(&mut file, &mut encoder)?;
    let (_, _, size) = encoder.finish()?.finish();
    Ok(size)
}
