//! From a module or static binaries to an image. `program` judges the inputs, `documents` says what the image says,
//! `layout` writes it.

mod artifact;
mod attach;
mod documents;
mod error;
mod program;
mod recipe;

use std::io::{self, Seek};
use std::path::PathBuf;

pub use error::BuildError;
pub use recipe::{
    AllowedImports, BuildFormat, CompiledModule, Contents, NativeBinary, Recipe, Sbom, Setting,
};

use crate::digest::Digest;
use crate::layer::LayerFile;
use crate::layout::{BlobStore, Output, Staging, StoredBlob, write_archive};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::spec;
use crate::timestamp::Timestamp;
use documents::{Documents, Layer};
use program::{Part, Program};

/// An image that was built.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Built {
    /// Its name.
    pub reference: Reference,
    /// Its form.
    pub format: BuildFormat,
    /// The digest of its index, or of its manifest where it has no index: the image's own.
    pub digest: Digest,
    /// Where it is.
    pub path: PathBuf,
    /// The file that is run, where the format names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<String>,
    /// The bytes of all its blobs.
    pub size: u64,
    /// One per platform, in the order of the index.
    pub manifests: Vec<BuiltManifest>,
    /// What is attached to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<BuiltReferrer>,
}

/// An artifact that is about an image.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BuiltReferrer {
    /// What kind of artifact it is.
    pub artifact_type: &'static str,
    /// Its manifest's digest.
    pub digest: Digest,
    /// The digest of the index or manifest that it is about.
    pub subject: Digest,
    /// The platform of that manifest; `None` if it is about the whole image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// The document that is the image.
struct Root {
    media_type: &'static str,
    blob: StoredBlob,
}

/// One platform's part of an image.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BuiltManifest {
    /// The platform.
    pub platform: Platform,
    /// The manifest's digest.
    pub digest: Digest,
    /// The layer's digest.
    pub layer: Digest,
    /// The layer's length in bytes.
    pub layer_size: u64,
    /// The digest of the uncompressed layer.
    pub diff_id: Digest,
    /// Which engine compiled its module, where that is so and known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiled_by: Option<String>,
}

/// Builds the image that `recipe` describes and puts it in its place.
pub fn build(recipe: &Recipe, output: &Output) -> Result<Built, BuildError> {
    let tag = match (recipe.reference.tag(), recipe.reference.digest()) {
        (Some(tag), None) => tag,
        _ => return Err(BuildError::DigestReference(Box::new(recipe.reference.clone()))),
    };
    if let Some(setting) = recipe.not_carried() {
        return Err(BuildError::NotCarried { format: recipe.format, setting });
    }
    let program = Program::open(recipe)?;
    let mut inputs = program.files()?;
    for sbom in &recipe.sboms {
        inputs.push(program::open(&sbom.path)?);
    }
    output.check(&inputs)?;
    let staging = Staging::beside(output)?;
    let store = BlobStore::create(staging.path("layout")).map_err(BuildError::Write)?;
    let documents = Documents { recipe, tag, file_name: &program.file_name, store: &store };
    let (root, manifests) = match recipe.format {
        BuildFormat::Compat => image(&program, &documents)?,
        BuildFormat::Artifact | BuildFormat::WasmToOci => documents.artifact(&program)?,
    };
    // What is attached is no part of the image, and whoever pulls it does not get it.
    let size = total_size(&store).map_err(BuildError::Write)?;
    let (entries, referrers): (Vec<_>, Vec<_>) = documents.attach(&root, &manifests)?.into_iter().unzip();
    documents.name(&root, entries)?;
    match output {
        Output::Layout(_) => staging.publish_layout(&store)?,
        Output::Archive(_) => {
            let file = staging.path("archive.tar");
            write_archive(&store, &file, recipe.modified).map_err(BuildError::Write)?;
            staging.publish_file(&file)?;
        }
    }
    Ok(Built {
        reference: recipe.reference.clone(),
        format: recipe.format,
        digest: root.blob.digest,
        path: output.path().to_owned(),
        entrypoint: (recipe.format == BuildFormat::Compat).then(|| format!("/{}", program.file_name)),
        size,
        manifests: manifests.into_iter().map(|(built, _)| built).collect(),
        referrers,
    })
}

/// An image's document, and one manifest per platform.
type Stored = (Root, Vec<(BuiltManifest, StoredBlob)>);

/// Stores an ordinary image: an index, and a manifest per platform.
fn image(program: &Program, documents: &Documents<'_>) -> Result<Stored, BuildError> {
    let mut manifests = Vec::new();
    for part in &program.parts {
        let modified = documents.recipe.modified;
        let layer = program_layer(part, &program.file_name, program.mode, modified, documents.store)
            .map_err(BuildError::Write)?;
        for platform in &part.platforms {
            manifests.push(documents.manifest(platform, &layer, part.compiled_by.as_deref())?);
        }
    }
    // The same image comes out whichever input is named first.
    manifests.sort_by(|(a, _), (b, _)| a.platform.cmp(&b.platform));
    let blob = documents.index(&manifests)?;
    Ok((Root { media_type: spec::MEDIA_INDEX, blob }, manifests))
}

fn program_layer(
    part: &Part,
    name: &str,
    mode: u32,
    modified: Timestamp,
    store: &BlobStore,
) -> io::Result<Layer> {
    (&part.file).rewind()?;
    let file = LayerFile { name, mode, modified, size: part.file.metadata()?.len() };
    let (blob, diff_id) = store.put(|output| file.write(&part.file, output))?;
    Ok(Layer { blob, diff_id })
}

fn total_size(store: &BlobStore) -> io::Result<u64> {
    store.blob_paths()?.iter().map(|path| Ok(store.root().join(path).metadata()?.len())).sum()
}
