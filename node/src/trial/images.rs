//! The trial's images: packed here, imported by containerd's client, and removed afterwards.

use std::path::Path;

use wasm_image::{Contents, KeyValue, NativeBinary, Output, Recipe, Reference, build};

use super::TrialError;
use crate::facts::Layout;
use crate::spec;
use crate::system::System;

/// What an image is made from.
pub(super) enum Program<'a> {
    Module(&'a [u8]),
    Native(&'a [u8]),
}

/// The mark of all images of a trial.
fn label() -> Result<KeyValue, <KeyValue as std::str::FromStr>::Err> {
    format!("{}=doctor", spec::TRIAL_LABEL).parse()
}

/// Packs a program as an image of that name, and has containerd take it.
pub(super) fn import(
    system: &dyn System,
    layout: &Layout,
    folder: &Path,
    name: &str,
    program: &Program<'_>,
) -> Result<(), TrialError> {
    let reference: Reference = name.parse().map_err(|_| TrialError::Name(name.to_owned()))?;
    let pack =
        |error: &dyn std::fmt::Display| TrialError::Pack { image: name.to_owned(), why: error.to_string() };
    let (file, bytes) = match program {
        Program::Module(bytes) => ("hello.wasm", *bytes),
        Program::Native(bytes) => ("native", *bytes),
    };
    let path = folder.join(file);
    std::fs::write(&path, bytes).map_err(|error| pack(&error))?;
    let contents = match program {
        Program::Module(_) => {
            Contents::Module { path: path.clone(), imports: Default::default(), compiled: Vec::new() }
        }
        Program::Native(_) => Contents::Native(vec![NativeBinary { platform: None, path: path.clone() }]),
    };
    let labels = vec![label().map_err(|error| pack(&error))?];
    let recipe = Recipe { labels, ..Recipe::new(contents, reference) };
    let archive = folder.join("image.tar");
    let _ = std::fs::remove_file(&archive);
    build(&recipe, &Output::Archive(archive.clone())).map_err(|error| pack(&error))?;
    let archive = archive.to_str().ok_or_else(|| pack(&"the temporary folder has an odd name"))?;
    let command = layout.ctr(&["--namespace", spec::CRI_NAMESPACE, "images", "import", archive]);
    let why = match system.run(&command) {
        Ok(ran) if ran.succeeded() => return Ok(()),
        Ok(ran) => ran.complaint(),
        Err(error) => error.to_string(),
    };
    Err(TrialError::Import { image: name.to_owned(), why })
}
