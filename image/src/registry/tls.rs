//! TLS: the system's authorities and the ones that `--ca-file` adds. The provider is ring, which cross-compiles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::RegistryError;

/// Which authorities are known.
pub(super) enum Roots<'a> {
    /// None: for connections that use no TLS.
    None,
    /// The system's, and those in the files.
    System(&'a [PathBuf]),
}

pub(super) fn config(roots: Roots<'_>) -> Result<ClientConfig, RegistryError> {
    let mut store = RootCertStore::empty();
    if let Roots::System(files) = roots {
        // What cannot be parsed there is no one's fault here: a missing authority is told when it is missed.
        let system = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(system.certs);
        for path in files {
            add_file(&mut store, path)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(RegistryError::TlsSetup)?;
    Ok(config.with_root_certificates(store).with_no_client_auth())
}

fn add_file(store: &mut RootCertStore, path: &Path) -> Result<(), RegistryError> {
    let failed = |source| RegistryError::CaFile { path: path.to_owned(), source };
    let invalid = |reason: String| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
    let pem = std::fs::read(path).map_err(failed)?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        store.add(certificate).map_err(|error| invalid(error.to_string()))?;
        found += 1;
    }
    if found == 0 { Err(invalid("there is no PEM certificate in it".to_owned())) } else { Ok(()) }
}

/// What a failed connection means, if TLS was the reason.
pub(super) fn explain(host: &str, error: &reqwest::Error) -> Option<RegistryError> {
    let source = rustls_error(error)?.clone();
    let host = host.to_owned();
    Some(match source {
        rustls::Error::InvalidMessage(_) => RegistryError::NotTls { host, source },
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            RegistryError::UnknownIssuer { host, source }
        }
        source => RegistryError::Tls { host, source },
    })
}

fn rustls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An io::Error hides what it wraps from `source`.
        if let Some(wrapped) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            if let Some(found) = wrapped.downcast_ref::<rustls::Error>() {
                return Some(found);
            }
            if let Some(found) = wrapped
                .downcast_ref::<std::io::Error>()
                .and_then(std::io::Error::get_ref)
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            {
                return Some(found);
            }
        }
        next = error.source();
    }
    None
}
