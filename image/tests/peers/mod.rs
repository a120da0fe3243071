//! Debian's docker-registry, the reference implementation, for one test or measurement: on a free loopback port, with TLS
//! and a password where asked for. Shared by the tests (`it`) and the benchmark.

#![allow(dead_code, reason = "the tests and the benchmark use different parts")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test itself does")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Who may enter a registry that asks.
pub(crate) const USER: &str = "tester";
/// The password, and as htpasswd has it (bcrypt, 16 rounds).
pub(crate) const PASSWORD: &str = "s3cret-of-the-tests";
const HTPASSWD: &str = "tester:$2b$04$.4tLMwp7N.8h2yhOWG6Vy.s0nlrqESYX7igxtlZfSrPZj4p7y4kw.\n";
/// How long it may take to listen.
const START: Duration = Duration::from_secs(20);

/// How a registry is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Plain HTTP, for all.
    Open,
    /// TLS by a CA of its own, and a password.
    TlsAndPassword,
}

/// A running registry; ends when dropped, with all that it stored.
pub(crate) struct DockerRegistry {
    /// `host:port`, as references begin.
    pub address: String,
    pub folder: TempDir,
    process: Child,
}

impl DockerRegistry {
    /// Starts `program`.
    pub(crate) fn start(program: &Path, guard: Guard) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yml");
        fs::write(&config, configuration(folder.path(), guard)).unwrap();
        let mut process = Command::new("setpriv")
            // It ends with the test also where the test is killed.
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let port = port_in(&mut log);
        // Read on, or it waits for us one day.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        // A name, not an address, where a certificate has to fit.
        Self { address: format!("localhost:{port}"), folder, process }
    }

    /// The certificate of its CA.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Where it keeps a blob.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let blobs = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// A folder with a `config.json` (which is also an `auth.json`) that holds this password for the registry.
    pub(crate) fn docker_config(&self, name: &str, password: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let auth = base64(&format!("{USER}:{password}"));
        let text = serde_json::json!({ "auths": { &self.address: { "auth": auth } } });
        fs::write(folder.join("config.json"), text.to_string()).unwrap();
        folder
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(folder: &Path, guard: Guard) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut text = format!(
        "version: 0.1\nlog: {{level: info, formatter: json, accesslog: {{disabled: true}}}}\n\
         storage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
         http:\n  addr: 127.0.0.1:0\n  secret: of-one-test\n",
        path("data")
    );
    if guard == Guard::TlsAndPassword {
        write_certificates(folder);
        fs::write(folder.join("htpasswd"), HTPASSWD).unwrap();
        text.push_str(&format!(
            "  tls: {{certificate: {}, key: {}}}\nauth:\n  htpasswd: {{realm: tests, path: {}}}\n",
            path("server.pem"),
            path("server.key"),
            path("htpasswd")
        ));
    }
    text
}

/// A CA, and a certificate of it for localhost.
fn write_certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "CA of one test");
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("ca.pem"), ca_certificate.pem()).unwrap();
    fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    // skopeo wants a folder of certificates.
    let folder = folder.join("certificates");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("ca.crt"), ca_certificate.pem()).unwrap();
}

/// The port on which it says that it listens.
fn port_in(log: &mut impl BufRead) -> u16 {
    let began = Instant::now();
    let mut said = String::new();
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "docker-registry ended: {said}");
        if let Some((_, rest)) = line.split_once("listening on ") {
            let address = rest.split(['"', ',', ' ']).next().unwrap();
            return address.rsplit(':').next().unwrap().parse().unwrap();
        }
        assert!(began.elapsed() < START, "docker-registry does not listen: {said}");
        said.push_str(&line);
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
