//! What stands in an image's configuration, manifests and indexes.

use std::collections::{BTreeMap, HashMap};

use oci_spec::OciSpecError;
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, RootFsBuilder,
};

use super::{BuildError, BuildFormat, BuiltManifest, Contents, Recipe, Root};
use crate::digest::Digest;
use crate::layout::{BlobStore, StoredBlob};
use crate::platform::Platform;
use crate::settings::KeyValue;
use crate::spec;

/// A layer that was written.
pub(super) struct Layer {
    pub blob: StoredBlob,
    pub diff_id: Digest,
}

/// The documents of one image.
pub(super) struct Documents<'a> {
    pub recipe: &'a Recipe,
    pub tag: &'a str,
    pub file_name: &'a str,
    pub store: &'a BlobStore,
}

impl Documents<'_> {
    /// Stores configuration and manifest of one platform.
    pub(super) fn manifest(
        &self,
        platform: &Platform,
        layer: &Layer,
        compiled_by: Option<&str>,
    ) -> Result<(BuiltManifest, StoredBlob), BuildError> {
        let config = self.config(platform, layer)?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(spec::SCHEMA_VERSION)
            .media_type(spec::MEDIA_MANIFEST)
            .config(descriptor(spec::MEDIA_CONFIG, &config)?)
            .layers(vec![descriptor(spec::MEDIA_LAYER_GZIP, &layer.blob)?])
            .annotations(self.annotations(Level::Manifest, compiled_by))
            .build()?;
        let stored = self.store.put_json(&manifest).map_err(BuildError::Write)?;
        let built = BuiltManifest {
            platform: platform.clone(),
            digest: stored.digest.clone(),
            layer: layer.blob.digest.clone(),
            layer_size: layer.blob.size,
            diff_id: layer.diff_id.clone(),
            compiled_by: compiled_by.map(str::to_owned),
        };
        Ok((built, stored))
    }

    /// Stores the index.
    pub(super) fn index(&self, manifests: &[(BuiltManifest, StoredBlob)]) -> Result<StoredBlob, BuildError> {
        let entry = |(built, stored): &(BuiltManifest, StoredBlob)| {
            let mut entry = descriptor(spec::MEDIA_MANIFEST, stored)?;
            entry.set_platform(Some(built.platform.to_oci()?));
            Ok(entry)
        };
        let entries = manifests.iter().map(entry).collect::<Result<Vec<Descriptor>, OciSpecError>>()?;
        let index = ImageIndexBuilder::default()
            .schema_version(spec::SCHEMA_VERSION)
            .media_type(spec::MEDIA_INDEX)
            .manifests(entries)
            .annotations(self.annotations(Level::Index, None))
            .build()?;
        self.store.put_json(&index).map_err(BuildError::Write)
    }

    /// Writes the layout's entry point, which names the image whose document was stored, and what is attached to it.
    pub(super) fn name(&self, root: &Root, attached: Vec<Descriptor>) -> Result<(), BuildError> {
        let mut named = descriptor(root.media_type, &root.blob)?;
        named.set_annotations(Some(HashMap::from([
            (spec::ANNOTATION_REF_NAME.to_owned(), self.tag.to_owned()),
            (spec::ANNOTATION_CONTAINERD_NAME.to_owned(), self.recipe.reference.to_string()),
        ])));
        let entry_point = ImageIndexBuilder::default()
            .schema_version(spec::SCHEMA_VERSION)
            .media_type(spec::MEDIA_INDEX)
            .manifests([vec![named], attached].concat())
            .build()?;
        let marker = OciLayoutBuilder::default().image_layout_version(spec::LAYOUT_VERSION).build()?;
        self.store.finish(&entry_point, &marker).map_err(BuildError::Write)
    }

    fn config(&self, platform: &Platform, layer: &Layer) -> Result<StoredBlob, BuildError> {
        let recipe = self.recipe;
        let mut run = ConfigBuilder::default()
            .user(recipe.user.to_string())
            .entrypoint(vec![format!("/{}", self.file_name)]);
        if !recipe.env.is_empty() {
            run = run.env(recipe.env.iter().map(KeyValue::to_string).collect::<Vec<_>>());
        }
        if !recipe.args.is_empty() {
            run = run.cmd(recipe.args.clone());
        }
        if !recipe.labels.is_empty() {
            run = run.labels(pairs(&recipe.labels).collect::<HashMap<_, _>>());
        }
        let root =
            RootFsBuilder::default().typ("layers").diff_ids(vec![layer.diff_id.to_string()]).build()?;
        let mut config = ImageConfigurationBuilder::default()
            .os(Os::from(platform.os()))
            .architecture(Arch::from(platform.architecture()))
            .config(run.build()?)
            .rootfs(root);
        if let Some(variant) = platform.variant() {
            config = config.variant(variant);
        }
        if let Some(created) = recipe.created {
            config = config.created(created.to_string());
        }
        self.store.put_json(&config.build()?).map_err(BuildError::Write)
    }

    /// The program's name.
    pub(super) fn title(&self) -> &str {
        self.file_name.strip_suffix(spec::WASM_ENTRY_SUFFIXES[0]).unwrap_or(self.file_name)
    }

    pub(super) fn annotations(&self, level: Level, compiled_by: Option<&str>) -> HashMap<String, String> {
        let recipe = self.recipe;
        let version = recipe.version.as_deref().unwrap_or(self.tag);
        let mut all = BTreeMap::from([
            (spec::ANNOTATION_TITLE.to_owned(), self.title().to_owned()),
            (spec::ANNOTATION_VERSION.to_owned(), version.to_owned()),
        ]);
        if let Some(licenses) = &recipe.licenses {
            all.insert(spec::ANNOTATION_LICENSES.to_owned(), licenses.clone());
        }
        if let Some(created) = recipe.created {
            all.insert(spec::ANNOTATION_CREATED.to_owned(), created.to_string());
        }
        if level == Level::Manifest
            && recipe.format == BuildFormat::Compat
            && matches!(recipe.contents, Contents::Module { .. })
        {
            let variant = spec::WASM_VARIANT_COMPAT_SMART.to_owned();
            all.insert(spec::ANNOTATION_WASM_VARIANT.to_owned(), variant);
        }
        if let Some(engine) = compiled_by {
            all.insert(spec::ANNOTATION_COMPILED_BY.to_owned(), engine.to_owned());
        }
        all.extend(pairs(&recipe.annotations));
        all.into_iter().collect()
    }
}

/// Which document an annotation is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Index,
    Manifest,
}

pub(super) fn descriptor(media_type: &str, blob: &StoredBlob) -> Result<Descriptor, OciSpecError> {
    let digest: oci_spec::image::Digest = blob.digest.to_string().parse()?;
    DescriptorBuilder::default()
        .media_type(MediaType::from(media_type))
        .size(blob.size)
        .digest(digest)
        .build()
}

fn pairs(list: &[KeyValue]) -> impl Iterator<Item = (String, String)> + '_ {
    list.iter().map(|pair| (pair.key().to_owned(), pair.value().to_owned()))
}
