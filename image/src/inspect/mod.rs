//! Looks through an image layout or archive and trusts nothing in it: every digest, size and `diff_id` is computed
//! anew, documents are read within limits, paths are opened without following links. Modules are looked into as well.

pub(crate) mod document;
mod limits;
mod modules;
mod problem;
mod report;
pub(crate) mod source;
pub(crate) mod tar_index;
mod tree;
pub(crate) mod unpack;
mod verify;
mod walk;
pub(crate) mod wire;

use std::path::Path;

pub use limits::Limits;
pub use modules::FoundModule;
pub use problem::{Finding, Problem, Severity};
pub use report::{ConfigSummary, Node, Report};
pub use source::{InputKind, InspectError};

pub(crate) use source::Source;
#[cfg(feature = "registry")]
pub(crate) use unpack::hash;
#[cfg(feature = "registry")]
pub(crate) use verify::read;
use walk::Walk;

/// Verifies the layout, archive or bare module at `path`, and looks into its modules. What is wrong with its content
/// stands in the report; an error means that there is no such thing to look at.
pub fn inspect(path: &Path, limits: &Limits) -> Result<Report, InspectError> {
    if modules::is_module(path)? {
        let (module, findings) = modules::of_file(path, limits)?;
        return Ok(Report::of_module(path, module, findings));
    }
    let (source, findings) = Source::open(path, limits)?;
    let mut report = Walk::new(&source, limits, findings).run(path);
    let (found, findings) = modules::of_images(&source, limits, &report.images);
    report.modules = found;
    report.add(findings, limits);
    Ok(report)
}
