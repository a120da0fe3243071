//! An image layout as one tar file, the `oci-archive` of skopeo and podman, the same bytes always.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::BlobStore;
use crate::spec;
use crate::timestamp::Timestamp;

/// Permission bits of the files in the archive.
const MODE: u32 = 0o644;

/// Writes `store` as a tar file to `path`. The two small files come first: a reader of the stream then knows what
/// it reads.
pub(crate) fn write_archive(store: &BlobStore, path: &Path, modified: Timestamp) -> io::Result<()> {
    let mut archive = tar::Builder::new(BufWriter::new(File::create_new(path)?));
    let mut members = vec![spec::LAYOUT_FILE.to_owned(), spec::INDEX_FILE.to_owned()];
    members.append(&mut store.blob_paths()?);
    for member in members {
        let content = File::open(store.root().join(&member))?;
        let mut header = tar::Header::new_gnu();
        header.set_path(&member)?;
        header.set_mode(MODE);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(modified.seconds());
        header.set_size(content.metadata()?.len());
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        archive.append(&header, content)?;
    }
    let mut output = archive.into_inner()?;
    output.flush()
}
