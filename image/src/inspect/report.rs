//! What an inspection found, for people (`tree`) and machines (serde).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Finding, FoundModule, InputKind, Limits, Problem, Severity};
use crate::digest::Digest;

/// All that was found.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// What was looked at.
    pub path: PathBuf,
    /// Its form.
    pub kind: InputKind,
    /// How many different blobs are intact.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The entries of `index.json`.
    pub images: Vec<Node>,
    /// The modules that were found in them, or the bare one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<FoundModule>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// A descriptor and what hangs on it. All its strings are the image's own words: hostile until escaped.
#[derive(Debug, Default, serde::Serialize)]
pub struct Node {
    /// The descriptor's media type.
    pub media_type: String,
    /// The descriptor's digest, if it is one that can be verified.
    pub digest: Option<Digest>,
    /// The size that the descriptor says, in bytes.
    pub size: u64,
    /// The platform that the descriptor says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The descriptor's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The annotations in the document that it points to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub document_annotations: BTreeMap<String, String>,
    /// An image configuration's content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigSummary>,
    /// What kind of artifact a manifest is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What a manifest is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// A layer's verified `diff_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<Digest>,
    /// An index's manifests; a manifest's configuration and layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
}

/// What an image configuration says.
#[derive(Debug, Default, serde::Serialize)]
pub struct ConfigSummary {
    /// `os/architecture[/variant]`
    pub platform: String,
    /// When the image was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What is run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// With which arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// In which environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Report {
    /// The report on a bare module.
    pub(super) fn of_module(path: &Path, module: Option<FoundModule>, findings: Vec<Finding>) -> Self {
        let bytes = module.as_ref().map_or(0, |found| found.module.size);
        Self {
            path: path.to_owned(),
            kind: InputKind::Module,
            blobs: 0,
            bytes,
            images: Vec::new(),
            modules: module.into_iter().collect(),
            findings,
        }
    }

    /// Adds findings, no more than there may be.
    pub(super) fn add(&mut self, findings: Vec<Finding>, limits: &Limits) {
        self.findings.extend(findings);
        if self.findings.len() > limits.findings {
            self.findings.truncate(limits.findings);
            let problem = Problem::TooMany { what: "findings", limit: limits.findings as u64 };
            self.findings.push(Finding { at: "all".to_owned(), problem });
        }
    }

    /// Whether nothing worse than a note was found.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.problem.severity() == Severity::Note)
    }
}
