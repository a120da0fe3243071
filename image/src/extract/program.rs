//! In which form an image holds its module, and where.

use std::fs::File;
use std::io::Seek;

use oci_spec::image::ImageConfiguration;

use super::error::Listed;
use super::rootfs::{self, Layer, RootPath};
use super::store::{Store, descriptor};
use super::{ExtractError, copy};
use crate::inspect::Problem;
use crate::inspect::unpack::Compression;
use crate::inspect::wire::{Document, Target};
use crate::spec;

/// Where a name without a slash is looked for besides the working folder, if the image does not say.
/// <https://github.com/containers/crun/blob/main/src/libcrun/linux.c>
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most folders of an image's own `PATH` that are looked into: each costs a look at every layer.
const MAX_PATH_FOLDERS: usize = 16;

/// The forms in which modules are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageForm {
    /// An ordinary image whose entry point is a module.
    Compat,
    /// CNCF's wasm artifact.
    Artifact,
    /// What `wasm-to-oci` pushed.
    WasmToOci,
    /// runwasi's: an ordinary configuration, and a layer that is the module itself.
    Runwasi,
}

impl ImageForm {
    /// The name, as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compat => "compat",
            Self::Artifact => "artifact",
            Self::WasmToOci => "wasm-to-oci",
            Self::Runwasi => "runwasi",
        }
    }
}

/// A manifest's module: its form, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub form: ImageForm,
    /// What is run, in the image's own words; the artifacts have none.
    pub entry: Option<String>,
    /// The media type of the layer that is the module itself, if one is.
    pub layer_type: Option<String>,
    location: Location,
}

#[derive(Clone, Debug)]
enum Location {
    /// The layer itself.
    Blob { at: String, target: Target },
    /// A file of the root that the layers make, under the first of these names that there is.
    File { layers: Vec<Layer>, paths: Vec<RootPath> },
}

/// The part of an artifact's configuration that says something about layers.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactConfig {
    layer_digests: Option<Vec<String>>,
}

impl Program {
    /// Reads what the manifest at `at` says. `config` is its configuration, verified.
    pub(crate) fn of_manifest(
        at: &str,
        config: &Target,
        config_bytes: &[u8],
        document: Document,
    ) -> Result<Self, ExtractError> {
        let mut layers = Vec::new();
        for (number, value) in document.layers.unwrap_or_default().into_iter().enumerate() {
            let at = format!("{at} > layers[{number}]");
            let (_, target) = descriptor(&at, value)?;
            layers.push((at, target));
        }
        let is_image = matches!(config.media_type.as_str(), spec::MEDIA_CONFIG | spec::MEDIA_DOCKER_CONFIG);
        let of_layer = |media_type: &str| match media_type {
            spec::MEDIA_RUNWASI_LAYER => Some(ImageForm::Runwasi),
            spec::MEDIA_WASM_LAYER | spec::MEDIA_WASM_TO_OCI_LAYER if is_image => Some(ImageForm::Runwasi),
            spec::MEDIA_WASM_LAYER => Some(ImageForm::Artifact),
            spec::MEDIA_WASM_TO_OCI_LAYER => Some(ImageForm::WasmToOci),
            _ => None,
        };
        let modules = layers.iter().filter(|(_, target)| of_layer(&target.media_type).is_some()).count();
        let found = layers.iter().find_map(|layer| of_layer(&layer.1.media_type).map(|form| (form, layer)));
        match found {
            // Whoever sees more than one layer in an artifact should reject it, says its layout.
            Some((ImageForm::Artifact, _)) if layers.len() > 1 => {
                Err(ExtractError::SeveralModules(layers.len()))
            }
            Some(_) if modules > 1 => Err(ExtractError::SeveralModules(modules)),
            Some((form, (at, target))) => {
                if config.media_type == spec::MEDIA_WASM_CONFIG {
                    check_layer_digests(at, config_bytes, &layers)?;
                }
                let entry = is_image.then(|| entry_of(config_bytes)).flatten();
                let location = Location::Blob { at: at.clone(), target: target.clone() };
                Ok(Self { form, entry, layer_type: Some(target.media_type.clone()), location })
            }
            None if is_image => compat(at, config_bytes, layers),
            None => Err(ExtractError::UnknownForm {
                config: Listed(vec![config.media_type.clone()]),
                layers: Listed(layers.into_iter().map(|(_, target)| target.media_type).collect()),
            }),
        }
    }

    /// Writes the module to `output`, whatever that held.
    pub(crate) fn copy(&self, store: &Store<'_>, output: &mut File) -> Result<(), ExtractError> {
        match &self.location {
            Location::Blob { at, target } => {
                let limit = store.limits.module;
                if target.size > limit {
                    return Err(ExtractError::TooMuch { what: "bytes of a module", limit });
                }
                let mut blob = store.blob(at, target)?;
                output.set_len(0).and_then(|()| output.rewind()).map_err(ExtractError::Write)?;
                copy::all(&mut blob, output)?.map_err(|source| {
                    let path = target.digest.blob_path();
                    ExtractError::unsound(at, Problem::Unreadable { path, source })
                })?;
                blob.finish()
            }
            Location::File { layers, paths } => {
                let mut in_the_way = None;
                for path in paths {
                    match rootfs::find(store, layers, path, output) {
                        Ok(true) => return Ok(()),
                        Ok(false) => {}
                        // One of the folders may well be a link, as /bin is; the file may be in another.
                        Err(error @ ExtractError::NotAFile { .. }) => {
                            in_the_way.get_or_insert(error);
                        }
                        Err(error) => return Err(error),
                    }
                }
                let name = self.name().chars().take(160).collect();
                Err(in_the_way.unwrap_or(ExtractError::NoSuchFile(name)))
            }
        }
    }

    /// What names the same bytes in whichever manifest, so that they are looked at once.
    pub(crate) fn key(&self) -> String {
        match &self.location {
            Location::Blob { target, .. } => target.digest.to_string(),
            Location::File { layers, paths } => {
                let layers: Vec<_> = layers.iter().map(|layer| layer.target.digest.to_string()).collect();
                format!("{layers:?} {paths:?}")
            }
        }
    }

    /// What the module is called in messages.
    pub(crate) fn name(&self) -> String {
        match (&self.entry, &self.location) {
            (_, Location::Blob { target, .. }) => target.digest.to_string(),
            (entry, Location::File { .. }) => entry.clone().unwrap_or_default(),
        }
    }
}

/// An ordinary image: what it runs, and in which layers that is to be found.
fn compat(at: &str, config_bytes: &[u8], layers: Vec<(String, Target)>) -> Result<Program, ExtractError> {
    let config: ImageConfiguration = serde_json::from_slice(config_bytes).map_err(|source| {
        let problem = Problem::Malformed { what: "image configuration", source };
        ExtractError::unsound(&format!("{at} > config"), problem)
    })?;
    let diff_ids = config.rootfs().diff_ids();
    if diff_ids.len() != layers.len() {
        let problem = Problem::LayerCount { layers: layers.len(), diff_ids: diff_ids.len() };
        return Err(ExtractError::unsound(at, problem));
    }
    let mut file_systems = Vec::new();
    for ((at, target), diff_id) in layers.into_iter().zip(diff_ids) {
        let diff_id = diff_id.parse().map_err(|error| ExtractError::bad_digest(&at, error))?;
        let compression =
            Compression::of_media_type(&target.media_type).ok_or_else(|| ExtractError::Compression {
                layer: target.digest.clone(),
                media_type: target.media_type.chars().take(160).collect(),
            })?;
        file_systems.push(Layer { at, target, diff_id, compression });
    }
    let entry = entry_of_config(&config).ok_or(ExtractError::NoEntryPoint)?;
    let paths = paths_of(&config, &entry);
    if paths.is_empty() {
        return Err(ExtractError::EntryPointOutside(entry.chars().take(160).collect()));
    }
    let location = Location::File { layers: file_systems, paths };
    Ok(Program { form: ImageForm::Compat, entry: Some(entry), layer_type: None, location })
}

/// Where runtimes would look for the entry point, in their order.
fn paths_of(config: &ImageConfiguration, entry: &str) -> Vec<RootPath> {
    let run = config.config().as_ref();
    let folder = run.and_then(|run| run.working_dir().as_deref()).filter(|folder| !folder.is_empty());
    let mut folders = Vec::new();
    if !entry.contains('/') {
        let env = run.and_then(|run| run.env().as_deref()).unwrap_or_default();
        let path = env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
        folders.extend(path.split(':').filter(|folder| folder.starts_with('/')).map(str::to_owned));
        folders.truncate(MAX_PATH_FOLDERS);
    }
    folders.push(folder.unwrap_or("/").to_owned());
    let mut paths = Vec::new();
    // runwasi takes `app.wasm#function`, and calls that function.
    let names = std::iter::once(entry).chain(entry.split_once('#').map(|(file, _)| file));
    for name in names {
        for path in folders.iter().filter_map(|folder| RootPath::new(folder, name)) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths
}

fn entry_of(config_bytes: &[u8]) -> Option<String> {
    entry_of_config(&serde_json::from_slice(config_bytes).ok()?)
}

/// The first word of what is run.
fn entry_of_config(config: &ImageConfiguration) -> Option<String> {
    let run = config.config().as_ref()?;
    let first = |words: &Option<Vec<String>>| words.as_ref().and_then(|words| words.first().cloned());
    first(run.entrypoint()).or_else(|| first(run.cmd())).filter(|word| !word.is_empty())
}

fn check_layer_digests(at: &str, config: &[u8], layers: &[(String, Target)]) -> Result<(), ExtractError> {
    let config: ArtifactConfig = serde_json::from_slice(config).map_err(|source| {
        ExtractError::unsound(at, Problem::Malformed { what: "wasm artifact's configuration", source })
    })?;
    let Some(said) = config.layer_digests else { return Ok(()) };
    if said.iter().eq(layers.iter().map(|(_, target)| target.digest.to_string()).collect::<Vec<_>>().iter()) {
        Ok(())
    } else {
        Err(ExtractError::LayerDigests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(config: &str) -> Vec<RootPath> {
        let text = format!(
            r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":[]}},"config":{config}}}"#
        );
        let config: ImageConfiguration = serde_json::from_str(&text).unwrap();
        paths_of(&config, &entry_of_config(&config).unwrap_or_default())
    }

    fn path(text: &str) -> RootPath {
        RootPath::new("/", text).unwrap()
    }

    #[test]
    fn where_the_entry_point_is_looked_for() {
        assert_eq!(paths(r#"{"Entrypoint":["/x.wasm","a"],"Cmd":["b"]}"#), [path("x.wasm")]);
        assert_eq!(paths(r#"{"Cmd":["./x.wasm"],"WorkingDir":"/app"}"#), [path("app/x.wasm")]);
        assert_eq!(paths(r#"{"Entrypoint":[],"Cmd":["/x.wasm"]}"#), [path("x.wasm")]);
        let found = paths(r#"{"Entrypoint":["x.wasm"],"Env":["A=b","PATH=/bin:rel:/opt"]}"#);
        assert_eq!(found, [path("bin/x.wasm"), path("opt/x.wasm"), path("x.wasm")]);
        assert_eq!(paths(r#"{"Entrypoint":["/x.wasm#run"]}"#), [path("x.wasm#run"), path("x.wasm")]);
        assert_eq!(paths(r#"{"Entrypoint":["x.wasm"]}"#).len(), 7);
        for config in [r#"{"Entrypoint":["../x.wasm"]}"#, r#"{"Entrypoint":["/"]}"#] {
            assert!(paths(config).is_empty(), "{config}");
        }
    }
}
