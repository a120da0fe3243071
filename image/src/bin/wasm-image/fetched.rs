//! What a command looks at: a file or folder of this machine, or an image in a registry, which is pulled into a temporary
//! layout first.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::TempDir;
use wasm_image::{Place, Reference, Referrers, Transfer};

use crate::progress;
use crate::registry_args::{RegistryArgs, wait};

/// How many blobs move at once.
const JOBS: usize = 4;
/// What a registry may be written with in front.
const SCHEME: &str = "docker://";

/// A path that is there as long as this is.
pub(crate) struct Fetched {
    pub(crate) path: PathBuf,
    _folder: Option<TempDir>,
}

impl Fetched {
    /// What `source` names: a path if there is one, else an image by its reference, host and all.
    pub(crate) fn get(source: &Path, registry: &RegistryArgs, referrers: Referrers) -> anyhow::Result<Self> {
        let Some(reference) = reference(source)? else {
            return Ok(Self { path: source.to_owned(), _folder: None });
        };
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let path = folder.path().join("image");
        let options = registry.options(progress::reporter(registry.quiet))?;
        let transfer = Transfer {
            source: Place::Registry(reference.clone()),
            destinations: vec![Place::Layout(path.clone(), None)],
            platforms: Vec::new(),
            mount_from: None,
            referrers,
            jobs: JOBS,
            from: options.clone(),
            to: options,
        };
        wait(async { Ok(wasm_image::transfer(&transfer).await?) })
            .with_context(|| format!("cannot pull {reference}"))?;
        Ok(Self { path, _folder: Some(folder) })
    }
}

/// The reference that `source` is, unless it is a path. A mistyped file name is not asked for at any registry: only what
/// begins with a host is.
fn reference(source: &Path) -> anyhow::Result<Option<Reference>> {
    let Some(text) = source.to_str() else { return Ok(None) };
    if let Some(text) = text.strip_prefix(SCHEME) {
        return Ok(Some(text.parse()?));
    }
    // What can only be a path fails as one.
    if source.symlink_metadata().is_ok() || ["/", "./", "../"].iter().any(|start| text.starts_with(start)) {
        return Ok(None);
    }
    let host = text.split_once('/').map(|(host, _)| host);
    let is_host = host.is_some_and(|host| host == "localhost" || host.contains(['.', ':']));
    if !is_host {
        bail!(
            "there is no file or folder {text}; an image of a registry is written with its host \
             (docker.io/library/{text}) or as {SCHEME}{text}"
        );
    }
    Ok(Some(text.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_begins_with_a_host_is_asked_for() {
        let read = |text: &str| reference(Path::new(text)).map(|found| found.map(|found| found.to_string()));
        for text in ["/", "./hello.wasm", "../x", "/nonexistent/x"] {
            assert_eq!(read(text).unwrap(), None, "{text}");
        }
        for text in ["localhost:5000/hello:v1", "ghcr.io/me/hello:v1", "localhost/hello:v1"] {
            assert_eq!(read(text).unwrap().as_deref(), Some(text));
        }
        assert_eq!(read("docker://hello").unwrap().as_deref(), Some("docker.io/library/hello:latest"));
        for text in ["helo.wasm", "images/hello.tar", "ghcr.io/Me"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
