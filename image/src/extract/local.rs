//! Which image is meant: a layout or an archive, and one of the images in it.

use std::path::{Path, PathBuf};

use crate::selector::Selector;

/// An image in a layout or an oci-archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalImage {
    /// The layout's folder, or the archive.
    pub path: PathBuf,
    /// Which of its images; `None` where it holds one only.
    pub selector: Option<Selector>,
}

impl LocalImage {
    /// The only image at `path`.
    pub fn only(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), selector: None }
    }
}

impl From<&Path> for LocalImage {
    fn from(path: &Path) -> Self {
        Self::only(path)
    }
}
