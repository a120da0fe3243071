//! Why no module was taken out of an image.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::digest::{Digest, DigestError};
use crate::inspect::{InspectError, Problem};
use crate::layout::OutputError;
use crate::module::ModuleError;
use crate::platform::Platform;
use crate::print::Clean;

/// Why no module was taken out of an image.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// There is nothing to look at.
    #[error(transparent)]
    Open(#[from] InspectError),
    /// A document or a blob is damaged, hostile or over a limit.
    #[error("the image is not sound: {at}")]
    Unsound {
        /// The way to it, such as `index.json > manifests[0]`.
        at: String,
        /// What it is.
        #[source]
        problem: Box<Problem>,
    },
    /// `index.json` names nothing.
    #[error("the layout holds no image")]
    NoImage,
    /// Nobody said what the program is made of.
    #[error("nothing that is attached to the image says what {0} is made of")]
    NoSbom(Digest),
    /// More than one says so.
    #[error("several documents that are attached to the image say what it is made of: {0}")]
    SeveralSboms(Listed),
    /// Several images, and none was asked for.
    #[error("the layout holds several images: say which one with --image: {0}")]
    WhichImage(Listed),
    /// None of that tag or digest.
    #[error("the layout holds no image {wanted}: it holds {found}")]
    NoSuchImage {
        /// What was asked for.
        wanted: String,
        /// What there is.
        found: Listed,
    },
    /// None for the platform that was asked for.
    #[error("the image is not for {wanted}: it is for {found}")]
    NoPlatform {
        /// What was asked for.
        wanted: Platform,
        /// What there is.
        found: Listed,
    },
    /// Several platforms, none of them this machine's or WASI's.
    #[error("the image is neither for {machine} nor for {wasi}: say one with --platform: {found}", wasi = Platform::of_wasi())]
    WhichPlatform {
        /// This machine's.
        machine: Platform,
        /// What there is.
        found: Listed,
    },
    /// Its layers are neither modules nor file systems.
    #[error(
        "the image holds no module in a form that is known: its configuration is {config}, its layers are {layers}"
    )]
    UnknownForm {
        /// The configuration's media type.
        config: Listed,
        /// The layers' media types.
        layers: Listed,
    },
    /// A wasm image of more than one layer, which consumers reject.
    #[error(
        "the image has {0} layers, and not only the one that is its module: no form with several is defined"
    )]
    SeveralModules(usize),
    /// The configuration names other layers than the manifest.
    #[error("the configuration's layerDigests are not the manifest's layers")]
    LayerDigests,
    /// Nothing is run.
    #[error("the image names nothing to run: it has neither Entrypoint nor Cmd")]
    NoEntryPoint,
    /// A path that leaves the root.
    #[error("the entry point {0:?} points outside of the image")]
    EntryPointOutside(String),
    /// Not in any layer, or removed by a later one.
    #[error("the entry point {0:?} is in no layer of the image, or a later one removes it")]
    NoSuchFile(String),
    /// A link, a device, a folder: never followed.
    #[error("{path:?} in the image is no regular file ({kind}), and is not followed")]
    NotAFile {
        /// The path in the image.
        path: String,
        /// What it is instead.
        kind: &'static str,
    },
    /// A name that leaves the root, by which a layer could mean harm.
    #[error("the layer {layer} has a member {path:?} that points outside")]
    MemberOutside {
        /// The layer.
        layer: Digest,
        /// The member's name.
        path: String,
    },
    /// gzip or tar say no.
    #[error("the layer {layer} cannot be unpacked")]
    Layer {
        /// The layer.
        layer: Digest,
        /// Why not.
        source: io::Error,
    },
    /// A compression that is not known here.
    #[error("the layer {layer} is of the type {media_type:?}, which cannot be unpacked here")]
    Compression {
        /// The layer.
        layer: Digest,
        /// Its media type.
        media_type: String,
    },
    /// More bytes or members than are read of a stranger's image.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// See [`Limits`](crate::Limits).
        limit: u64,
    },
    /// What is run is no module, or not the whole of one.
    #[error("{0:?} in the image is no whole module")]
    Module(String, #[source] ModuleError),
    /// The output is the archive itself.
    #[error("{0} is the image itself: choose another output")]
    OutputIsInput(PathBuf),
    /// The output cannot take its place.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Writing failed.
    #[error("cannot write the module")]
    Write(#[source] io::Error),
}

impl ExtractError {
    pub(super) fn unsound(at: &str, problem: impl Into<Problem>) -> Self {
        Self::Unsound { at: at.to_owned(), problem: Box::new(problem.into()) }
    }

    pub(super) fn bad_digest(at: &str, error: DigestError) -> Self {
        Self::unsound(at, Problem::Digest(error))
    }
}

/// Strangers' words in a message: escaped, and not too many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed(pub Vec<String>);

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 20;
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (number, text) in self.0.iter().take(MOST).enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{}", Clean(text))?;
        }
        match self.0.len().checked_sub(MOST) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_words_are_escaped_and_few() {
        assert_eq!(Listed(vec![]).to_string(), "none");
        assert_eq!(Listed(vec!["a\u{1b}".into(), "b".into()]).to_string(), "a\\u{1b}, b");
        assert!(Listed(vec!["x".into(); 23]).to_string().ends_with("x and 3 more"));
    }
}
