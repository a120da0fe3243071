//! What each runtime does with the forms of images. Sources:
//! - crun: `handler-utils.c` and `wasmedge.c` in <https://github.com/containers/crun/tree/1.21/src/libcrun/handlers>;
//!   that it needs a platform of linux is containerd's doing, which from 2.1 on unpacks no other when a kubelet pulls
//! - youki: `wasmedge.rs` and `wasmtime.rs` in <https://github.com/youki-dev/youki/tree/main/crates/youki/src/workload>
//! - runwasi: `supported_layers_types` and `load_modules` in
//!   <https://github.com/containerd/runwasi/tree/main/crates/containerd-shim-wasm/src>, and
//!   <https://runwasi.dev/getting-started/demos.html>

use super::Engine;
use super::judge::Judge;
use crate::extract::ImageForm;
use crate::spec;

/// What an engine's runtime looks at in an image.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ImageFacts {
    /// Its form.
    pub format: ImageForm,
    /// Its platforms, in its own words: hostile until escaped.
    pub platforms: Vec<String>,
    /// What it runs, in its own words, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<String>,
    /// The media type of the layer that is the module, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_type: Option<String>,
}

impl ImageFacts {
    /// Whether the entry point is `file#function`, as runwasi reads it.
    pub(super) fn names_a_function(&self) -> bool {
        self.entrypoint.as_ref().is_some_and(|entry| entry.contains('#'))
    }

    fn ends_as_wasm(&self) -> bool {
        let entry = self.entrypoint.as_deref().unwrap_or_default();
        spec::WASM_ENTRY_SUFFIXES.iter().any(|suffix| entry.ends_with(suffix))
    }

    fn has_platform(&self, test: impl Fn(&str) -> bool) -> bool {
        self.platforms.iter().any(|platform| test(platform))
    }
}

pub(super) fn judge(engine: Engine, image: &ImageFacts, judge: &mut Judge) {
    match engine {
        Engine::CrunWasmedge | Engine::YoukiWasmedge | Engine::YoukiWasmtime => {
            if image.format != ImageForm::Compat {
                judge.refuse("it runs a file of a root file system, and this image has none");
                return;
            }
            if !image.has_platform(|platform| platform.starts_with("linux/")) {
                judge.doubt(
                    "no platform of the image is linux: containerd 2.1 and later unpack no other here",
                );
            }
            of_file(engine, image, judge);
        }
        Engine::RunwasiWasmtime | Engine::RunwasiWasmedge | Engine::RunwasiWasmer => of_shim(image, judge),
        Engine::Wasmtime => judge.condition("as a file, which extract takes out of the image"),
    }
}

fn of_file(engine: Engine, image: &ImageFacts, judge: &mut Judge) {
    match engine {
        Engine::CrunWasmedge if image.ends_as_wasm() => judge.condition(format!(
            "the container needs the annotation {}: {}",
            spec::ANNOTATION_WASM_VARIANT,
            spec::WASM_VARIANT_COMPAT_SMART
        )),
        Engine::YoukiWasmtime if !image.ends_as_wasm() => {
            judge.refuse("its entry point ends neither in .wasm nor in .wat");
        }
        // youki knows no `compat-smart`.
        Engine::YoukiWasmedge | Engine::YoukiWasmtime => {
            judge.condition(format!(
                "the container needs the annotation {}: compat",
                spec::ANNOTATION_WASM_VARIANT
            ));
        }
        _ => judge.condition(
            "its entry point does not end in .wasm: the container needs the annotation run.oci.handler: wasm",
        ),
    }
}

fn of_shim(image: &ImageFacts, judge: &mut Judge) {
    let is_wasm = |platform: &str| platform.split('/').nth(1) == Some(spec::WASM_ARCHITECTURE);
    match image.format {
        ImageForm::Compat => {}
        ImageForm::Artifact => {
            judge.condition("it has to be pulled by a kubelet: ctr knows no such configuration")
        }
        ImageForm::WasmToOci => judge.refuse("its configuration names no platform, and its shims need one"),
        ImageForm::Runwasi => {
            let known = [spec::MEDIA_RUNWASI_LAYER, spec::MEDIA_WASM_LAYER];
            if !image.layer_type.as_deref().is_some_and(|layer| known.contains(&layer)) {
                judge.refuse(format!("its shims take layers of {} and {} only", known[0], known[1]));
            } else if !image.has_platform(is_wasm) {
                judge.refuse("the image's architecture is not wasm, so that its layer is not looked at");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Answer;
    use super::*;

    fn answers(format: ImageForm, platform: &str, entry: &str, layer: Option<&str>) -> [Answer; 7] {
        let image = ImageFacts {
            format,
            platforms: vec![platform.to_owned()],
            entrypoint: Some(entry.to_owned()),
            layer_type: layer.map(str::to_owned),
        };
        Engine::ALL.map(|engine| {
            let mut collected = Judge::default();
            judge(engine, &image, &mut collected);
            collected.answer
        })
    }

    #[test]
    fn who_takes_which_form() {
        use Answer::{Refuses, Takes, Unknown};
        let compat = |platform, entry| answers(ImageForm::Compat, platform, entry, None);
        assert_eq!(compat("linux/amd64", "/x.wasm"), [Takes; 7]);
        assert_eq!(compat("wasi/wasm", "/x.wasm"), [Unknown, Unknown, Unknown, Takes, Takes, Takes, Takes]);
        assert_eq!(compat("linux/arm64", "/x"), [Takes, Takes, Refuses, Takes, Takes, Takes, Takes]);
        let no_root = |shim| [Refuses, Refuses, Refuses, shim, shim, shim, Takes];
        let of = |form, platform, layer| answers(form, platform, "", Some(layer));
        assert_eq!(of(ImageForm::Artifact, "wasip1/wasm", spec::MEDIA_WASM_LAYER), no_root(Takes));
        assert_eq!(of(ImageForm::WasmToOci, "", spec::MEDIA_WASM_TO_OCI_LAYER), no_root(Refuses));
        assert_eq!(of(ImageForm::Runwasi, "wasip1/wasm", spec::MEDIA_RUNWASI_LAYER), no_root(Takes));
        assert_eq!(of(ImageForm::Runwasi, "linux/amd64", spec::MEDIA_RUNWASI_LAYER), no_root(Refuses));
        assert_eq!(of(ImageForm::Runwasi, "wasip1/wasm", spec::MEDIA_WASM_TO_OCI_LAYER), no_root(Refuses));
    }
}
