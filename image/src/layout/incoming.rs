//! A layout or archive into which an image comes blob by blob, in any order. Nothing of it is seen before the end;
//! a layout that is there already keeps what it has, and is whole at every moment.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, mkdirat, openat, renameat, statat};
use serde_json::{Value, json};

use super::staging::{Staging, io_error};
use super::{BlobStore, Output, OutputError, write_archive};
use crate::digest::{Algorithm, Digest};
use crate::inspect::{Limits, Source, hash};
use crate::spec;
use crate::timestamp::Timestamp;

/// An image on its way in.
#[derive(Debug)]
pub(crate) struct Incoming {
    output: Output,
    staging: Staging,
    store: BlobStore,
    existing: Option<Arc<Source>>,
}

/// A blob that is being written, under a name that no reader looks at.
#[derive(Debug)]
pub(crate) struct IncomingBlob {
    file: File,
    partial: PathBuf,
    digest: Digest,
}

impl IncomingBlob {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }
}

impl Incoming {
    /// Refuses an output that is something else than an image layout or a file.
    pub(crate) fn open(output: Output) -> Result<Self, OutputError> {
        output.check(&[])?;
        let staging = Staging::beside(&output)?;
        let folder = staging.path("layout");
        let store = BlobStore::create(folder.clone()).map_err(io_error("create", &folder))?;
        let existing = match &output {
            Output::Layout(path) if path.join(spec::LAYOUT_FILE).exists() => {
                let opened = Source::open(path, &Limits::default());
                let (source, _) = opened.map_err(|error| io_error("open", path)(io::Error::other(error)))?;
                Some(Arc::new(source))
            }
            _ => None,
        };
        Ok(Self { output, staging, store, existing })
    }

    pub(crate) fn path(&self) -> &Path {
        self.output.path()
    }

    /// What finds out, on a thread that may wait for a disk, whether the layout has this blob intact.
    pub(crate) fn check(&self, digest: &Digest, size: u64) -> Option<impl FnOnce() -> bool + Send + use<>> {
        let source = Arc::clone(self.existing.as_ref()?);
        let digest = digest.clone();
        Some(move || {
            let Ok(member) = source.member(&digest.blob_path()) else { return false };
            member.size == size
                && hash(member.reader, digest.algorithm(), size).is_ok_and(|(found, _)| found == digest)
        })
    }

    pub(crate) fn begin(&self, digest: &Digest) -> io::Result<IncomingBlob> {
        let partial = self.staging.path(&format!("{}-{}", digest.algorithm().as_str(), digest.hex()));
        Ok(IncomingBlob { file: File::create(&partial)?, partial, digest: digest.clone() })
    }

    /// Keeps a blob whose content was verified.
    pub(crate) fn keep(&self, blob: IncomingBlob) -> io::Result<()> {
        drop(blob.file);
        self.store.adopt(&blob.partial, &blob.digest)
    }

    /// Puts the image in its place; `entries` is what `index.json` says of it, and of what is attached to it.
    pub(crate) fn publish(self, entries: Vec<Value>) -> Result<(), OutputError> {
        let folder = self.store.root().to_owned();
        let failed = |error| io_error("write", &folder)(error);
        if self.existing.is_some() {
            return self.add(&entries);
        }
        self.store.finish(&index_of(entries), &marker()).map_err(failed)?;
        match &self.output {
            Output::Layout(_) => self.staging.publish_layout(&self.store),
            Output::Archive(_) => {
                let file = self.staging.path("archive.tar");
                write_archive(&self.store, &file, Timestamp::default()).map_err(failed)?;
                self.staging.publish_file(&file)
            }
        }
    }

    /// Into a layout that is there: blobs first, which nothing names yet, `index.json` in one step at the end.
    fn add(&self, entries: &[Value]) -> Result<(), OutputError> {
        let target = self.staging.target();
        let failed = |error: rustix::io::Errno| io_error("write into", target)(error.into());
        let folder = |parent: &OwnedFd, name: &str| {
            // Someone may have put a link there since: it is not followed.
            match mkdirat(parent, name, Mode::from(0o755)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(failed(error)),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(parent, name, flags, Mode::empty()).map_err(failed)
        };
        let root: OwnedFd = File::open(target).map_err(io_error("open", target))?.into();
        // Two that add at once must not lose one another's entry.
        flock(&root, FlockOperation::LockExclusive).map_err(failed)?;
        let blobs = folder(&root, spec::BLOBS_DIR)?;
        for algorithm in Algorithm::ALL {
            let staged = self.store.blobs_of(algorithm).map_err(io_error("read", target))?;
            if staged.is_empty() {
                continue;
            }
            let place = folder(&blobs, algorithm.as_str())?;
            for path in staged {
                let name = path.file_name().ok_or_else(|| OutputError::NoName(path.clone()))?;
                File::open(&path).and_then(|file| file.sync_all()).map_err(io_error("sync", target))?;
                renameat(CWD, &path, &place, name).map_err(failed)?;
            }
            rustix::fs::fsync(&place).map_err(failed)?;
        }
        let old = self.read_index(&root)?;
        let index = entries.iter().try_fold(old, merge).ok_or_else(|| OutputError::NotALayout {
            path: target.to_owned(),
            reason: format!("its {} is damaged", spec::INDEX_FILE),
        })?;
        let new = self.staging.path("index.json");
        let bytes = super::blobs::canonical_json(&index).map_err(io_error("write", target))?;
        let mut file = File::create(&new).map_err(io_error("write", target))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io_error("write", target))?;
        renameat(CWD, &new, &root, spec::INDEX_FILE).map_err(failed)?;
        rustix::fs::fsync(&root).map_err(failed)
    }

    fn read_index(&self, root: &OwnedFd) -> Result<Value, OutputError> {
        let target = self.staging.target();
        let failed = |error: rustix::io::Errno| io_error("read", target)(error.into());
        let limit = Limits::default().document;
        let damaged = |reason: String| OutputError::NotALayout { path: target.to_owned(), reason };
        match statat(root, spec::INDEX_FILE, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => return Ok(index_of(Vec::new())),
            Err(error) => return Err(failed(error)),
            Ok(_) => {}
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(root, spec::INDEX_FILE, flags, Mode::empty()).map_err(failed)?;
        let mut bytes = Vec::new();
        File::from(file).take(limit + 1).read_to_end(&mut bytes).map_err(io_error("read", target))?;
        if bytes.len() as u64 > limit {
            return Err(damaged(format!("its {} is over {limit} bytes", spec::INDEX_FILE)));
        }
        serde_json::from_slice(&bytes).map_err(|error| damaged(format!("{}: {error}", spec::INDEX_FILE)))
    }
}

/// `index` with `entry` at its end, in place of what had its name.
fn merge(mut index: Value, entry: &Value) -> Option<Value> {
    let name_of = |entry: &Value| Some(entry.get("annotations")?.get(spec::ANNOTATION_REF_NAME)?.clone());
    let manifests = index.get_mut("manifests")?.as_array_mut()?;
    let name = name_of(entry);
    manifests.retain(|old| match &name {
        // A name goes to the newcomer, other names of the same image stay.
        Some(name) => {
            name_of(old).as_ref() != Some(name)
                && !(name_of(old).is_none() && old["digest"] == entry["digest"])
        }
        None => old["digest"] != entry["digest"],
    });
    manifests.push(entry.clone());
    Some(index)
}

fn index_of(manifests: Vec<Value>) -> Value {
    json!({ "schemaVersion": spec::SCHEMA_VERSION, "mediaType": spec::MEDIA_INDEX, "manifests": manifests })
}

fn marker() -> Value {
    json!({ "imageLayoutVersion": spec::LAYOUT_VERSION })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_to_the_newcomer() {
        let entry = |digest: &str, name: Option<&str>| match name {
            Some(name) => json!({ "digest": digest, "annotations": { spec::ANNOTATION_REF_NAME: name } }),
            None => json!({ "digest": digest }),
        };
        let index = index_of(vec![entry("a", Some("v1")), entry("a", Some("v2")), entry("b", None)]);
        let merged = merge(index, &entry("b", Some("v1"))).unwrap();
        assert_eq!(merged["manifests"], json!([entry("a", Some("v2")), entry("b", Some("v1"))]));
        assert!(merge(json!([]), &entry("a", None)).is_none());
    }
}
