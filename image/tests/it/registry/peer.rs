//! Held against another client of the specification: what it pushes is pulled here, and the other way round.

use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::secrets::RegistryAuth;

use super::double::Double;
use super::{job, noise, only_no_module, pushed, run};
use crate::support::temp;

fn peer() -> (Client, tokio::runtime::Runtime) {
    // The library is built without a provider of its own.
    let _ = rustls_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() }), runtime)
}

fn rustls_provider() -> Result<(), impl Sized> {
    tokio_rustls::rustls::crypto::ring::default_provider().install_default()
}

#[test]
fn what_it_pushes_is_pulled() {
    let double = Double::new();
    let (client, runtime) = peer();
    let reference: Reference = double.name("peer/x:v1").parse().unwrap();
    let layer = ImageLayer::new(noise(300_000), "application/wasm".to_owned(), None);
    let config = Config::new(b"{}".to_vec(), "application/vnd.wasm.config.v0+json".to_owned(), None);
    runtime.block_on(client.push(&reference, &[layer], config, &RegistryAuth::Anonymous, None)).unwrap();
    let folder = temp();
    let place = format!("{}/out/", folder.path().display());
    let report = run(&job(&double.name("peer/x:v1"), &[&place]).0).unwrap();
    assert_eq!(report.blobs.len(), 2);
    only_no_module(&folder.path().join("out"));
}

#[test]
fn what_is_pushed_it_pulls() {
    let double = Double::new();
    let layout = pushed(&double, "a/hello:v1");
    let (client, runtime) = peer();
    let reference: Reference = double.name("a/hello:v1").parse().unwrap();
    let accepted = vec!["application/vnd.oci.image.layer.v1.tar+gzip"];
    let image = runtime.block_on(client.pull(&reference, &RegistryAuth::Anonymous, accepted)).unwrap();
    assert_eq!(image.digest, Some(layout.built.manifests[0].digest.to_string()));
    let layer = std::fs::read(layout.blob(&layout.built.manifests[0].layer)).unwrap();
    assert_eq!(image.layers[0].data, layer);
}
