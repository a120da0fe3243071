//! The formats whose layer is the module itself: CNCF's wasm artifact, and what `wasm-to-oci` pushed. Both are a single
//! manifest without an index, for the same bytes serve every platform.

use std::collections::HashMap;
use std::io::Seek;

use oci_spec::image::{ImageManifestBuilder, MediaType};
use serde_json::json;

use super::documents::{Documents, Level, descriptor};
use super::program::Program;
use super::{BuildError, BuildFormat, BuiltManifest, Root, Stored};
use crate::layer;
use crate::layout::StoredBlob;
use crate::platform::Platform;
use crate::spec;

impl Documents<'_> {
    /// Stores the one module of `program`, its configuration and its manifest.
    pub(super) fn artifact(&self, program: &Program) -> Result<Stored, BuildError> {
        let mut file = &program.parts.first().ok_or(BuildError::Nothing)?.file;
        file.rewind().map_err(BuildError::Write)?;
        let size = file.metadata().map_err(BuildError::Write)?.len();
        let (module, ()) =
            self.store.put(|output| layer::write_bare(file, size, output)).map_err(BuildError::Write)?;
        let (config_type, config, layer_type) = if self.recipe.format == BuildFormat::WasmToOci {
            let nothing = self.store.put_json(&json!({})).map_err(BuildError::Write)?;
            (spec::MEDIA_WASM_TO_OCI_CONFIG, nothing, spec::MEDIA_WASM_TO_OCI_LAYER)
        } else {
            (spec::MEDIA_WASM_CONFIG, self.artifact_config(&module)?, spec::MEDIA_WASM_LAYER)
        };
        let mut layer = descriptor(layer_type, &module)?;
        // The name under which oras and Krustlet find and store the file.
        layer.set_annotations(Some(HashMap::from([(
            spec::ANNOTATION_TITLE.to_owned(),
            self.file_name.to_owned(),
        )])));
        let manifest = ImageManifestBuilder::default()
            .schema_version(spec::SCHEMA_VERSION)
            .media_type(MediaType::from(spec::MEDIA_MANIFEST))
            .config(descriptor(config_type, &config)?)
            .layers(vec![layer])
            .annotations(self.annotations(Level::Manifest, None))
            .build()?;
        let stored = self.store.put_json(&manifest).map_err(BuildError::Write)?;
        let built = BuiltManifest {
            platform: Platform::of_wasm_artifacts(),
            digest: stored.digest.clone(),
            layer: module.digest.clone(),
            layer_size: module.size,
            diff_id: module.digest,
            compiled_by: None,
        };
        Ok((Root { media_type: spec::MEDIA_MANIFEST, blob: stored.clone() }, vec![(built, stored)]))
    }

    /// The configuration of a core module. Readers such as wkg's refuse one without `created`, so that a build without a
    /// time says 1970, as it does in tars: never the clock.
    fn artifact_config(&self, module: &StoredBlob) -> Result<StoredBlob, BuildError> {
        let config = json!({
            "created": self.recipe.created.unwrap_or_default().to_string(),
            "architecture": spec::WASM_ARCHITECTURE,
            "os": spec::WASM_ARTIFACT_OS,
            "layerDigests": [module.digest.to_string()],
        });
        self.store.put_json(&config).map_err(BuildError::Write)
    }
}
