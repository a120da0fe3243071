//! What a program that cargo built is made of, as a CycloneDX document: the crates that are linked into it for its target and
//! its features, not all that a lock file names.
//!
//! `tree` asks cargo, `lock` knows the checksums, `evidence` holds both against what the program itself says, `document`
//! writes. Equal programs give equal documents: there is no time, no random number and no path in them.

mod document;
mod error;
mod evidence;
mod lock;
mod tree;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use error::SbomError;
pub use tree::{Crate, Source, Tree};

/// Which program it is about.
#[derive(Clone, Debug)]
pub struct Program {
    /// The package whose binary it is, by which it is called too.
    pub package: String,
    /// Packages that the same call of cargo built: features of what they share are united.
    pub built_with: Vec<String>,
    /// What it was built for, as rustc calls it.
    pub target: String,
    /// The program.
    pub binary: PathBuf,
}

/// The document, for a program of the workspace at `workspace`.
///
/// # Errors
/// Where cargo or the lock file say something else than the program itself.
pub fn sbom(workspace: &Path, program: &Program) -> Result<Vec<u8>, SbomError> {
    let tree = Tree::of(workspace, program)?;
    let checksums = lock::checksums(&workspace.join("Cargo.lock"))?;
    let evidence = evidence::Evidence::of(&program.binary)?;
    if let Some(unknown) = evidence.crates.iter().find(|found| !tree.has(found)) {
        return Err(SbomError::Unlisted { binary: program.binary.clone(), found: unknown.clone() });
    }
    document::write(program, &tree, &checksums, &evidence, &compiler(workspace)?)
}

/// This machine's compiler.
struct Compiler {
    release: String,
    commit: String,
}

fn compiler(workspace: &Path) -> Result<Compiler, SbomError> {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let said = run(command.arg("-vV").current_dir(workspace))?;
    let field = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    Ok(Compiler { release: field("release"), commit: field("commit-hash") })
}

fn run(command: &mut Command) -> Result<String, SbomError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|source| SbomError::Start { name: name.clone(), source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(SbomError::Command { name, said });
    }
    String::from_utf8(output.stdout).map_err(|_| SbomError::Text(name))
}
