//! Takes the module out of an image, whichever of the known forms it has, and trusts nothing in it: documents and layers
//! are held against their digests, layers are unpacked in a stream within limits, and one regular file is written, which
//! takes its place when it is whole.

mod best;
pub(crate) mod choose;
mod copy;
mod error;
mod layer_tar;
mod local;
mod metered;
mod program;
mod rootfs;
mod sbom;
pub(crate) mod store;

use std::fs::{self, File};
use std::io::{BufReader, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use error::{ExtractError, Listed};
pub use local::LocalImage;
pub use program::ImageForm;
pub use sbom::sbom;

use crate::digest::{Algorithm, Digest};
use crate::inspect::Limits;
use crate::inspect::source::Source;
use crate::inspect::unpack::hash;
use crate::layout::{Output, Staging};
use crate::module::sections::Sections;
use crate::platform::Platform;
use store::Store;

/// A module that was taken out of an image.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Extracted {
    /// Where it is now.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of the module itself.
    pub digest: Digest,
    /// The form of the image that held it.
    pub format: ImageForm,
    /// The platform that was chosen, in the image's own words, where it says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The digest of the manifest that was chosen.
    pub manifest: Digest,
    /// What the image runs, in its own words, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<String>,
}

/// Takes the module out of `image` and puts it at `output`, where a regular file may be replaced. Of several platforms
/// it takes the one that is asked for, else this machine's, else `wasi/wasm`, else the only one.
pub fn extract(
    image: &LocalImage,
    platform: Option<&Platform>,
    output: &Path,
) -> Result<Extracted, ExtractError> {
    extract_within(&Limits::default(), image, platform, output)
}

/// The same, within limits of the caller's.
pub fn extract_within(
    limits: &Limits,
    image: &LocalImage,
    platform: Option<&Platform>,
    output: &Path,
) -> Result<Extracted, ExtractError> {
    let (source, findings) = Source::open(&image.path, limits)?;
    if let Some(finding) = findings.into_iter().next() {
        return Err(ExtractError::unsound(&finding.at, finding.problem));
    }
    check_output(&image.path, output)?;
    let store = Store::new(&source, limits);
    let (candidate, manifest) = store.choose(image.selector.as_ref(), platform)?;

    let place = Output::Archive(output.to_owned());
    let staging = Staging::beside(&place)?;
    let path = staging.path("module.wasm");
    let mut file =
        File::options().read(true).write(true).create_new(true).open(&path).map_err(ExtractError::Write)?;
    manifest.program.copy(&store, &mut file)?;
    let whole = Sections::read(&mut file)
        .map_err(|error| ExtractError::Module(manifest.program.name().chars().take(160).collect(), error))?;
    file.rewind().map_err(ExtractError::Write)?;
    let (digest, size) =
        hash(BufReader::new(&file), Algorithm::Sha256, whole.size).map_err(ExtractError::Write)?;
    staging.publish_file(&path)?;
    Ok(Extracted {
        path: output.to_owned(),
        size,
        digest,
        format: manifest.form(),
        entrypoint: manifest.program.entry,
        platform: manifest.platform,
        manifest: candidate.target.digest,
    })
}

/// Refuses, before any work, an output that must not be replaced.
fn check_output(image: &Path, output: &Path) -> Result<(), ExtractError> {
    Output::Archive(output.to_owned()).check(&[])?;
    if let (Ok(image), Ok(there)) = (fs::metadata(image), fs::metadata(output))
        && (image.dev(), image.ino()) == (there.dev(), there.ino())
    {
        return Err(ExtractError::OutputIsInput(output.to_owned()));
    }
    Ok(())
}
