//! TLS: known and unknown authorities, and servers that speak none.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use wasm_image::PlainHttp;

use super::double::Double;
use super::{job, run, text};
use crate::support::{Layout, temp, write};

fn registry() -> (Double, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = std::sync::Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (Double::with_tls(config), cert.pem())
}

#[test]
fn an_authority_is_known_or_given() {
    let (double, pem) = registry();
    let folder = temp();
    let layout = Layout::new();
    let (mut push, _) = job(layout.path().to_str().unwrap(), &[&double.name("a/hello:v1")]);
    push.to.plain_http = PlainHttp::Never;
    push.to.retry.retries = 0;
    let unknown = text(run(&push).unwrap_err());
    assert!(unknown.contains("--ca-file"), "{unknown}");
    push.to.ca_files = vec![write(folder.path(), "ca.pem", pem.as_bytes())];
    run(&push).unwrap();
    push.to.ca_files = vec![write(folder.path(), "no.pem", b"no certificate")];
    assert!(text(run(&push).unwrap_err()).contains("there is no PEM certificate in it"));
    push.to.ca_files = vec![folder.path().join("missing.pem")];
    assert!(text(run(&push).unwrap_err()).contains("missing.pem"));
}

#[test]
fn no_tls_where_tls_is_wanted() {
    let double = Double::new();
    let layout = Layout::new();
    let (mut push, _) = job(layout.path().to_str().unwrap(), &[&double.name("a/hello:v1")]);
    push.to.plain_http = PlainHttp::Never;
    push.to.retry.retries = 0;
    let text = text(run(&push).unwrap_err());
    assert!(text.contains("does not speak TLS: give --plain-http"), "{text}");
}
