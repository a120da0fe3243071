//! A report as a tree for people. Whatever comes from the image is escaped: no string of a stranger moves the cursor.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::{InputKind, Node, Report, Severity};
use crate::print::{Bytes, Clean};
use crate::spec;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            InputKind::Layout => "image layout",
            InputKind::Archive => "oci-archive",
            InputKind::Module => return self.module(f),
        };
        let blobs = if self.blobs == 1 { "blob" } else { "blobs" };
        writeln!(
            f,
            "{} ({kind}, {} intact {blobs}, {})",
            self.path.display(),
            self.blobs,
            Bytes(self.bytes)
        )?;
        for (number, image) in self.images.iter().enumerate() {
            branch(f, image, "", number + 1 == self.images.len())?;
        }
        self.modules.iter().try_for_each(|module| write!(f, "{module}"))?;
        self.verdict(f, "verified: every digest, size and diff_id is right")
    }
}

impl Report {
    /// A bare module.
    fn module(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (WebAssembly, {})", self.path.display(), Bytes(self.bytes))?;
        self.modules.iter().try_for_each(|module| write!(f, "{module}"))?;
        self.verdict(f, "nothing is wrong")
    }

    /// The findings and what they come to.
    fn verdict(&self, f: &mut Formatter<'_>, sound: &str) -> fmt::Result {
        for finding in &self.findings {
            let severity = match finding.problem.severity() {
                Severity::Error => "error",
                Severity::Note => "note",
            };
            writeln!(f, "{severity}: {}: {}", Clean(&finding.at), Clean(&finding.problem.to_string()))?;
        }
        let errors =
            self.findings.iter().filter(|finding| finding.problem.severity() == Severity::Error).count();
        match errors {
            0 if self.findings.is_empty() => writeln!(f, "{sound}"),
            0 => writeln!(f, "no errors"),
            1 => writeln!(f, "1 error"),
            errors => writeln!(f, "{errors} errors"),
        }
    }
}

fn branch(f: &mut Formatter<'_>, node: &Node, indent: &str, last: bool) -> fmt::Result {
    let (fork, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
    write!(f, "{indent}{fork}{}", role(node))?;
    if let Some(platform) = &node.platform {
        write!(f, " {}", Clean(platform))?;
    }
    match &node.digest {
        Some(digest) => writeln!(f, " {digest} {}", Bytes(node.size))?,
        None => writeln!(f, " (no digest)")?,
    }
    let indent = format!("{indent}{below}");
    let bar = if node.children.is_empty() { "  " } else { "│ " };
    if let Some(subject) = &node.subject {
        writeln!(f, "{indent}{bar}about: {subject}")?;
    }
    map(f, &indent, bar, &node.annotations)?;
    map(f, &indent, bar, &node.document_annotations)?;
    if let Some(config) = &node.config {
        let mut line = |name: &str, value: &str| writeln!(f, "{indent}{bar}{name}: {}", Clean(value));
        line("platform", &config.platform)?;
        for (name, value) in [("created", &config.created), ("user", &config.user)] {
            value.iter().try_for_each(|value| line(name, value))?;
        }
        for (name, values) in [("entrypoint", &config.entrypoint), ("cmd", &config.cmd)] {
            if !values.is_empty() {
                line(name, &format!("{values:?}"))?;
            }
        }
        config.env.iter().try_for_each(|value| line("env", value))?;
        for (key, value) in &config.labels {
            line("label", &format!("{key}={value}"))?;
        }
    }
    if let Some(diff_id) = &node.diff_id {
        writeln!(f, "{indent}{bar}diff_id: {diff_id}")?;
    }
    for (number, child) in node.children.iter().enumerate() {
        branch(f, child, &indent, number + 1 == node.children.len())?;
    }
    Ok(())
}

fn map(f: &mut Formatter<'_>, indent: &str, bar: &str, map: &BTreeMap<String, String>) -> fmt::Result {
    for (key, value) in map {
        writeln!(f, "{indent}{bar}{}={}", Clean(key), Clean(value))?;
    }
    Ok(())
}

fn role(node: &Node) -> String {
    if let (Some(_), Some(artifact)) = (&node.subject, &node.artifact_type) {
        return format!("referrer ({})", Clean(artifact));
    }
    match node.media_type.as_str() {
        spec::MEDIA_INDEX | spec::MEDIA_DOCKER_LIST => "index".to_owned(),
        spec::MEDIA_MANIFEST | spec::MEDIA_DOCKER_MANIFEST => "manifest".to_owned(),
        spec::MEDIA_CONFIG | spec::MEDIA_DOCKER_CONFIG => "config".to_owned(),
        spec::MEDIA_LAYER => "layer (tar)".to_owned(),
        spec::MEDIA_LAYER_GZIP | spec::MEDIA_DOCKER_LAYER => "layer (tar+gzip)".to_owned(),
        spec::MEDIA_LAYER_ZSTD => "layer (tar+zstd)".to_owned(),
        spec::MEDIA_EMPTY => "config (none)".to_owned(),
        spec::MEDIA_CYCLONEDX => "sbom (CycloneDX)".to_owned(),
        spec::MEDIA_WASM_CONFIG => "config (wasm artifact)".to_owned(),
        spec::MEDIA_WASM_TO_OCI_CONFIG => "config (wasm-to-oci)".to_owned(),
        spec::MEDIA_WASM_LAYER => "layer (wasm)".to_owned(),
        spec::MEDIA_WASM_TO_OCI_LAYER => "layer (wasm, wasm-to-oci's)".to_owned(),
        spec::MEDIA_RUNWASI_LAYER => "layer (wasm, runwasi's)".to_owned(),
        other => format!("blob ({})", Clean(other)),
    }
}
