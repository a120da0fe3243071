//! Images put together by hand, as well or as badly as a test wants them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tar::{EntryType, Header};
use tempfile::TempDir;
use wasm_image::{Digest, spec};

use crate::support::temp;

/// A member of a layer, with exactly this name.
pub(crate) type Member<'a> = (&'a str, EntryType, &'a [u8]);

/// A regular file.
pub(crate) fn file<'a>(name: &'a str, content: &'a [u8]) -> Member<'a> {
    (name, EntryType::Regular, content)
}

/// The bytes of a tar.
pub(crate) fn tar_of(members: &[Member<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in members {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_entry_type(*kind);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// A layout in a folder of its own.
pub(crate) struct ByHand {
    pub folder: TempDir,
    entries: Vec<Value>,
}

impl ByHand {
    pub(crate) fn new() -> Self {
        let folder = temp();
        fs::create_dir_all(folder.path().join("layout/blobs/sha256")).unwrap();
        fs::write(folder.path().join("layout/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { folder, entries: Vec::new() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("layout")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.folder.path().join("out.wasm")
    }

    /// Stores a blob and returns its descriptor.
    pub(crate) fn put(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        fs::write(self.path().join(digest.blob_path()), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() })
    }

    pub(crate) fn put_json(&self, media_type: &str, value: &Value) -> Value {
        self.put(media_type, value.to_string().as_bytes())
    }

    /// Stores a manifest and returns its descriptor.
    pub(crate) fn manifest(&self, config: &Value, layers: &[Value]) -> Value {
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        self.put_json(spec::MEDIA_MANIFEST, &manifest)
    }

    /// Stores an ordinary image of these tars and returns its manifest's descriptor.
    pub(crate) fn image(&self, run: &Value, tars: &[Vec<u8>]) -> Value {
        let diff_ids: Vec<_> = tars.iter().map(|tar| Digest::of(tar).to_string()).collect();
        let layers: Vec<_> = tars.iter().map(|tar| self.put(spec::MEDIA_LAYER_GZIP, &gzip(tar))).collect();
        self.manifest(&self.config(run, &diff_ids), &layers)
    }

    /// Stores an ordinary configuration and returns its descriptor.
    pub(crate) fn config(&self, run: &Value, diff_ids: &[String]) -> Value {
        let config = json!({
            "os": "linux",
            "architecture": "amd64",
            "config": run,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        self.put_json(spec::MEDIA_CONFIG, &config)
    }

    /// Names an image in the layout's entry point.
    pub(crate) fn name(&mut self, mut descriptor: Value, tag: Option<&str>, platform: Option<&str>) {
        if let Some(tag) = tag {
            descriptor["annotations"] = json!({ spec::ANNOTATION_REF_NAME: tag });
        }
        if let Some((os, architecture)) = platform.and_then(|platform| platform.split_once('/')) {
            descriptor["platform"] = json!({ "os": os, "architecture": architecture });
        }
        self.entries.push(descriptor);
        let index = json!({ "schemaVersion": 2, "manifests": self.entries });
        fs::write(self.path().join("index.json"), index.to_string()).unwrap();
    }

    /// A layout of one ordinary image that runs `/x.wasm`.
    pub(crate) fn of_tars(tars: &[Vec<u8>]) -> Self {
        let mut layout = Self::new();
        let image = layout.image(&json!({ "Entrypoint": ["/x.wasm"] }), tars);
        layout.name(image, None, None);
        layout
    }

    /// All that lies beside the layout: what a failure must not leave.
    pub(crate) fn left(&self) -> Vec<String> {
        names(self.folder.path()).into_iter().filter(|name| name != "layout").collect()
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
