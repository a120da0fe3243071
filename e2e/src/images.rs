//! Hands the built images to the node's containerd, as nobody can pull them from anywhere.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cri::Cri;
use crate::node::Node;
use crate::wait;

/// The sandbox image in the node's containerd configuration.
pub const PAUSE: &str = "localhost/akri-wasm/pause:dev";
/// The namespace in which CRI looks for images.
const NAMESPACE: &str = "k8s.io";
/// Until CRI has heard of an image that came by another way.
const HEARD: Duration = Duration::from_secs(10);

/// An image on the node.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its name.
    pub name: String,
    /// The digest of its index.
    pub digest: String,
    /// The size of the archive that it came in, all platforms.
    pub archive_bytes: u64,
    /// What it takes as this platform's containerd counts it: manifest, configuration, compressed layers.
    pub bytes: u64,
}

/// What ends the tag of an image whose module was compiled ahead of time, and the name of its archive before `.tar`.
const COMPILED: &str = "-aot";

/// The name of the archive of an image: the last part of its name, and whether it is a compiled one.
pub fn archive(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let (name, tag) = last.split_once(':').unwrap_or((last, ""));
    let compiled = if tag.ends_with(COMPILED) { COMPILED } else { "" };
    format!("{name}{compiled}.tar")
}

/// Imports the archive of `image` from the folder, and checks that it holds what its name says.
///
/// # Errors
/// Where it is not there or is another image.
pub async fn import(node: &Node, cri: &mut Cri, folder: &Path, image: &str) -> anyhow::Result<Imported> {
    let path = folder.join(archive(image));
    let file = File::open(&path)
        .with_context(|| format!("cannot read {}: build it with `make image`", path.display()))?;
    let archive_bytes = file.metadata()?.len();
    let said = node
        .exec_with(&["ctr", "--namespace", NAMESPACE, "images", "import", "-"], file)
        .await
        .with_context(|| format!("cannot import {}", path.display()))?;
    let Some(digest) = said.split_once(image).and_then(|(_, rest)| rest.split(['(', ')']).nth(1)) else {
        bail!("{} does not hold {image}: {}", path.display(), said.trim());
    };
    let known = wait::until(&format!("CRI knows {image}"), HEARD, async || cri.image(image).await).await?;
    Ok(Imported { name: image.to_owned(), digest: digest.to_owned(), archive_bytes, bytes: known.size })
}

#[cfg(test)]
mod tests {
    #[test]
    fn archives_are_named_after_images() {
        assert_eq!(super::archive("localhost:5000/akri-wasm/pause:dev"), "pause.tar");
        assert_eq!(super::archive("debug-echo"), "debug-echo.tar");
        assert_eq!(super::archive("localhost/akri-wasm/debug-echo:dev-aot"), "debug-echo-aot.tar");
    }
}
