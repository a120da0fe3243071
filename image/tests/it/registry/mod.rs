//! Registries, good ones and bad ones: what reaches them, what comes from them, what is left when they fail.

mod auth;
mod commands;
mod double;
mod downloads;
mod peer;
mod referrers;
mod tls;
mod uploads;

use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use wasm_image::{
    ClientOptions, Clock, PlainHttp, Progress, RegistryError, Transfer, TransferError, TransferReport,
    transfer,
};

use crate::support::{Layout, write};

/// A clock on which waiting takes no time, and is remembered.
#[derive(Default)]
pub(crate) struct Instant {
    pub waits: Mutex<Vec<Duration>>,
}

impl Clock for Instant {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.waits.lock().unwrap().push(time);
        Box::pin(async {})
    }

    fn jitter(&self) -> f64 {
        0.5
    }
}

/// Keeps what is said.
#[derive(Default)]
pub(crate) struct Heard(pub Mutex<Vec<String>>);

impl Progress for Heard {
    fn waits(&self, reason: &RegistryError, _: Duration) {
        self.0.lock().unwrap().push(reason.to_string());
    }

    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

pub(crate) fn options() -> (ClientOptions, Arc<Instant>) {
    let clock = Arc::new(Instant::default());
    let options = ClientOptions {
        plain_http: PlainHttp::Loopback,
        clock: clock.clone(),
        stall: Duration::from_secs(20),
        ..ClientOptions::default()
    };
    (options, clock)
}

pub(crate) fn job(source: &str, destinations: &[&str]) -> (Transfer, Arc<Instant>) {
    let (options, clock) = options();
    let job = Transfer {
        source: source.parse().unwrap(),
        destinations: destinations.iter().map(|place| place.parse().unwrap()).collect(),
        platforms: Vec::new(),
        mount_from: None,
        referrers: wasm_image::Referrers::Left,
        jobs: 4,
        from: options.clone(),
        to: options,
    };
    (job, clock)
}

pub(crate) fn run(job: &Transfer) -> Result<TransferReport, TransferError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(transfer(job))
}

/// An error with all its causes.
pub(crate) fn text(error: TransferError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

/// The names in a folder, hidden ones too.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A layout whose one blob of note has this content, as the layer of an artifact.
pub(crate) fn layout_with(content: &[u8]) -> (tempfile::TempDir, String) {
    let folder = crate::support::temp();
    let root = folder.path().join("layout");
    fs::create_dir_all(root.join("blobs/sha256")).unwrap();
    let put = |kind: &str, bytes: &[u8]| {
        let digest = wasm_image::Digest::of(bytes);
        fs::write(root.join(digest.blob_path()), bytes).unwrap();
        serde_json::json!({ "mediaType": kind, "digest": digest.to_string(), "size": bytes.len() })
    };
    let layer = put("application/wasm", content);
    let digest = layer["digest"].as_str().unwrap().to_owned();
    let config = put("application/vnd.wasm.config.v0+json", b"{}");
    let manifest = serde_json::json!({ "schemaVersion": 2, "mediaType": wasm_image::spec::MEDIA_MANIFEST,
        "config": config, "layers": [layer] });
    let entry = put(wasm_image::spec::MEDIA_MANIFEST, manifest.to_string().as_bytes());
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [entry] });
    write(&root, "index.json", index.to_string().as_bytes());
    write(&root, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    (folder, digest)
}

/// A megabyte that does not repeat.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(length)
    .collect()
}

/// Pushes the usual image to `name`.
pub(crate) fn pushed(double: &double::Double, name: &str) -> Layout {
    let layout = Layout::new();
    let (job, _) = job(layout.path().to_str().unwrap(), &[&double.name(name)]);
    run(&job).unwrap();
    double.with(|state| state.seen.clear());
    layout
}

/// Fails if anything is wrong with a layout but that its layer, which is noise, is no module.
fn only_no_module(layout: &Path) {
    let report = wasm_image::inspect(layout, &wasm_image::Limits::default()).unwrap();
    for finding in report.findings {
        assert!(finding.problem.to_string().contains("module"), "{finding:?}");
    }
}
