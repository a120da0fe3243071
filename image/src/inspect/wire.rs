//! The documents as strangers write them: only what an inspection needs, each descriptor still unparsed, so that a
//! bad one spoils nothing but itself.

use std::collections::BTreeMap;

use oci_spec::image::{ImageConfiguration, Platform};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ConfigSummary;
use crate::digest::Digest;
use crate::spec;

/// The file `oci-layout`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Marker {
    pub image_layout_version: String,
}

/// An index or a manifest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    pub schema_version: u64,
    pub media_type: Option<String>,
    pub manifests: Option<Vec<serde_json::Value>>,
    pub config: Option<serde_json::Value>,
    pub layers: Option<Vec<serde_json::Value>>,
    /// What an artifact is.
    pub artifact_type: Option<String>,
    /// The descriptor of what a manifest is about.
    pub subject: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Docker's first schema, which is neither.
    pub fs_layers: Option<IgnoredAny>,
}

/// A descriptor whose digest is not yet believed to be one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    pub platform: Option<Platform>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub annotations: BTreeMap<String, String>,
    pub data: Option<String>,
    /// What kind of artifact it leads to.
    pub artifact_type: Option<String>,
}

/// A descriptor that passed: it names a blob that can be looked for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub digest: Digest,
    pub size: u64,
    pub media_type: String,
}

impl Descriptor {
    /// Whether it leads to something about an image, and not to an image: in an entry point, what has a name is one.
    pub(crate) fn is_attached(&self) -> bool {
        let named = [spec::ANNOTATION_REF_NAME, spec::ANNOTATION_CONTAINERD_NAME]
            .iter()
            .any(|key| self.annotations.contains_key(*key));
        self.media_type == spec::MEDIA_MANIFEST && self.artifact_type.is_some() && !named
    }

    /// The platform that it says.
    pub(crate) fn platform_text(&self) -> Option<String> {
        let platform = self.platform.as_ref()?;
        let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
        Some(platform_text(&os, &architecture, platform.variant().as_deref()))
    }
}

/// Go writes an absent map as `null`.
fn null_is_empty<'de, D: serde::Deserializer<'de>>(input: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// `os/architecture[/variant]`
pub(crate) fn platform_text(os: &str, architecture: &str, variant: Option<&str>) -> String {
    let variant = variant.map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{os}/{architecture}{variant}")
}

pub(crate) fn summary_of(config: &ImageConfiguration) -> ConfigSummary {
    let mut summary = ConfigSummary {
        platform: platform_text(
            &config.os().to_string(),
            &config.architecture().to_string(),
            config.variant().as_deref(),
        ),
        created: config.created().clone(),
        ..ConfigSummary::default()
    };
    if let Some(run) = config.config() {
        summary.user = run.user().clone();
        summary.entrypoint = run.entrypoint().clone().unwrap_or_default();
        summary.cmd = run.cmd().clone().unwrap_or_default();
        summary.env = run.env().clone().unwrap_or_default();
        summary.labels = run.labels().clone().unwrap_or_default().into_iter().collect();
    }
    summary
}
