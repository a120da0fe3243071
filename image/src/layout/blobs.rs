//! A layout under construction: blobs named by what they hold.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::digest::{Algorithm, Digest, HashingWriter};
use crate::spec;

/// A folder that becomes an image layout.
#[derive(Debug)]
pub(crate) struct BlobStore {
    root: PathBuf,
}

/// A blob that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredBlob {
    pub digest: Digest,
    pub size: u64,
}

impl BlobStore {
    /// Begins a layout in `root`, which must not exist.
    pub(crate) fn create(root: PathBuf) -> io::Result<Self> {
        fs::create_dir(&root)?;
        fs::create_dir(root.join(spec::BLOBS_DIR))?;
        fs::create_dir(root.join(spec::BLOBS_DIR).join(Algorithm::Sha256.as_str()))?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Stores whatever `write` writes, under its digest. Equal blobs are stored once.
    pub(crate) fn put<T>(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> io::Result<(StoredBlob, T)> {
        let partial = self.root.join("partial-blob");
        let mut output = HashingWriter::new(BufWriter::new(File::create(&partial)?));
        let result = write(&mut output)?;
        let (output, digest, size) = output.finish();
        output.into_inner()?;
        fs::rename(&partial, self.root.join(digest.blob_path()))?;
        Ok((StoredBlob { digest, size }, result))
    }

    /// Stores a document in its one canonical form.
    pub(crate) fn put_json(&self, document: &impl serde::Serialize) -> io::Result<StoredBlob> {
        let bytes = canonical_json(document)?;
        Ok(self.put(|output| output.write_all(&bytes))?.0)
    }

    /// Writes the two files that make the folder a layout.
    pub(crate) fn finish(
        &self,
        index: &impl serde::Serialize,
        marker: &impl serde::Serialize,
    ) -> io::Result<()> {
        fs::write(self.root.join(spec::INDEX_FILE), canonical_json(index)?)?;
        fs::write(self.root.join(spec::LAYOUT_FILE), canonical_json(marker)?)
    }

    /// The blobs' paths beneath the root, in order.
    pub(crate) fn blob_paths(&self) -> io::Result<Vec<String>> {
        let mut paths = Vec::new();
        for algorithm in Algorithm::ALL {
            for path in self.blobs_of(algorithm)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                paths.push(format!("{}/{}/{name}", spec::BLOBS_DIR, algorithm.as_str()));
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// The files of one algorithm's blobs.
    pub(super) fn blobs_of(&self, algorithm: Algorithm) -> io::Result<Vec<PathBuf>> {
        let folder = self.root.join(spec::BLOBS_DIR).join(algorithm.as_str());
        if !folder.exists() {
            return Ok(Vec::new());
        }
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    }

    #[cfg(feature = "registry")]
    /// Takes in a file that was verified to be the blob of this digest.
    pub(super) fn adopt(&self, file: &Path, digest: &Digest) -> io::Result<()> {
        let place = self.root.join(digest.blob_path());
        // sha256's is there from the beginning; another one's only where it is needed.
        if let Some(folder) = place.parent()
            && !folder.exists()
        {
            fs::create_dir(folder)?;
        }
        fs::rename(file, place)
    }
}

/// JSON without white space and with every object's keys in order: `oci-spec` keeps maps unordered.
pub(super) fn canonical_json(document: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    let mut value = serde_json::to_value(document)?;
    value.sort_all_objects();
    Ok(serde_json::to_vec(&value)?)
}
