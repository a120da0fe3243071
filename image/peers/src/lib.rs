//! Debian's docker-registry, the reference implementation, for one test or measurement: its files, and a process on a free
//! loopback port. With TLS by a CA of its own and a password, or without.

pub mod large;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// Who may enter a registry that asks.
pub const USER: &str = "tester";
/// The password, and below as htpasswd has it (bcrypt, 16 rounds).
pub const PASSWORD: &str = "s3cret-of-the-tests";
const HTPASSWD: &str = "tester:$2b$04$.4tLMwp7N.8h2yhOWG6Vy.s0nlrqESYX7igxtlZfSrPZj4p7y4kw.\n";
/// The configuration's file name.
pub const CONFIGURATION: &str = "config.yml";
/// The CA's certificate.
pub const CA: &str = "ca.pem";
/// A folder that holds nothing but the CA's certificate, as skopeo wants it.
pub const CERTIFICATES: &str = "certificates";
/// Where everything is stored.
const DATA: &str = "data";
/// Begins the line that names the port.
const LISTENING: &str = "listening on ";

/// How a registry is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Plain HTTP, for all.
    Open,
    /// Plain HTTP and a password, as only loopback bears it.
    Password,
    /// TLS and a password.
    TlsAndPassword,
}

/// What a registry is started with.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// How it is guarded.
    pub guard: Guard,
    /// Where it listens; port 0 takes a free one.
    pub listen: &'a str,
    /// The host names and addresses that its certificate is for.
    pub names: &'a [&'a str],
    /// Where the registry itself sees the folder that its files are written to.
    pub seen_at: &'a Path,
}

impl Setting<'_> {
    /// Writes configuration, password file and certificates into `folder`.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let seen = |name: &str| self.seen_at.join(name).display().to_string();
        let mut text = format!(
            "version: 0.1\nlog: {{level: info, formatter: json, accesslog: {{disabled: true}}}}\n\
             storage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
             http:\n  addr: {}\n  secret: of-one-test\n",
            seen(DATA),
            self.listen
        );
        if self.guard == Guard::TlsAndPassword {
            self.write_certificates(folder)?;
            writeln!(text, "  tls: {{certificate: {}, key: {}}}", seen("server.pem"), seen("server.key"))?;
        }
        if self.guard != Guard::Open {
            fs::write(folder.join("htpasswd"), HTPASSWD)?;
            writeln!(text, "auth:\n  htpasswd: {{realm: tests, path: {}}}", seen("htpasswd"))?;
        }
        Ok(fs::write(folder.join(CONFIGURATION), text)?)
    }

    fn write_certificates(&self, folder: &Path) -> anyhow::Result<()> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "CA of one test");
        let ca_certificate = ca.self_signed(&ca_key)?;
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate()?;
        let names: Vec<String> = self.names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        fs::write(folder.join(CA), ca_certificate.pem())?;
        fs::write(folder.join("server.pem"), certificate.pem())?;
        fs::write(folder.join("server.key"), key.serialize_pem())?;
        let certificates = folder.join(CERTIFICATES);
        fs::create_dir_all(&certificates)?;
        Ok(fs::write(certificates.join("ca.crt"), ca_certificate.pem())?)
    }
}

/// Where a registry whose folder this is keeps a blob, by its `sha256:` digest.
///
/// # Errors
/// Where that is no such digest.
pub fn blob(folder: &Path, digest: &str) -> anyhow::Result<PathBuf> {
    let hex = digest.strip_prefix("sha256:").with_context(|| format!("{digest} is no sha256 digest"))?;
    let first = hex.get(..2).with_context(|| format!("{digest} is too short"))?;
    Ok(folder.join(DATA).join("docker/registry/v2/blobs/sha256").join(first).join(hex).join("data"))
}

/// A running registry; ends when dropped, with all that it stored.
#[derive(Debug)]
pub struct DockerRegistry {
    /// `host:port`, as references begin.
    pub address: String,
    /// Its files.
    pub folder: TempDir,
    process: Child,
}

impl DockerRegistry {
    /// Starts `program` on a free port.
    ///
    /// # Errors
    /// Where it does not come to listen; with what it said.
    pub fn start(program: &Path, guard: Guard) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let names = ["localhost", "127.0.0.1"];
        Setting { guard, listen: "127.0.0.1:0", names: &names, seen_at: folder.path() }
            .write(folder.path())?;
        let mut process = Command::new("setpriv")
            // It ends with the test also where the test is killed.
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .arg("serve")
            .arg(folder.path().join(CONFIGURATION))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let mut log = BufReader::new(process.stderr.take().context("its standard error is not piped")?);
        let port = port_in(&mut log)?;
        // Read on, or it waits for us one day.
        std::thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        Ok(Self { address: format!("localhost:{port}"), folder, process })
    }

    /// The certificate of its CA.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join(CA)
    }

    /// A folder with a `config.json` (which is also an `auth.json`) that holds this password for the registry.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn docker_config(&self, name: &str, password: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder)?;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
        let text = serde_json::json!({ "auths": { &self.address: { "auth": auth } } });
        fs::write(folder.join("config.json"), text.to_string())?;
        Ok(folder)
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The port on which it says that it listens.
fn port_in(log: &mut impl BufRead) -> anyhow::Result<u16> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if log.read_line(&mut line)? == 0 {
            bail!("docker-registry ended: {said}");
        }
        if let Some((_, rest)) = line.split_once(LISTENING) {
            let address = rest.split(['"', ',', ' ']).next().unwrap_or(rest);
            let port = address.rsplit(':').next().unwrap_or(address);
            return port.parse().with_context(|| format!("no port in {line}"));
        }
        said.push_str(&line);
    }
}
