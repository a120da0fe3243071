//! What `wasm-image push` sends to the reference registry, containerd pulls through the CRI, as the kubelet has it done:
//! with TLS and a password, all of it on a node. And what it says where the registry lost or spoilt something.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::cri::Cri;
use e2e::images;
use e2e::node::Node;
use e2e::say::Say;
use image_peers::{CA, CONFIGURATION, Guard, PASSWORD, Setting, USER, blob};
use k8s_cri::v1::AuthConfig;

use crate::support::{absent, arguments, skipped};

/// Not the other tests': all may run at the same time.
const NODE: &str = "e2e-registry";
const READY: Duration = Duration::from_secs(30);
/// Where the registry's files are on the node.
const FOLDER: &str = "/srv/registry";
/// The node's own address, by a name that no client takes for loopback and so for plain HTTP.
const HOST: &str = "registry.test";
const ADDRESS: &str = "10.200.0.1";
const PORT: u16 = 5443;
/// The command on the node.
const COMMAND: &str = "/usr/local/bin/wasm-image";

/// A node with a registry on it.
struct Place {
    node: Node,
    cri: Cri,
    /// The registry's folder as this machine sees it.
    folder: PathBuf,
}

impl Place {
    async fn new(scripts: &Path, wasm_image: &Path) -> anyhow::Result<Self> {
        let node = Node::up(scripts, NODE, &Say::start()).await?;
        let folder = node.file(FOLDER)?;
        fs::create_dir_all(&folder)?;
        let listen = format!("{ADDRESS}:{PORT}");
        let seen_at = Path::new(FOLDER);
        Setting { guard: Guard::TlsAndPassword, listen: &listen, names: &[HOST], seen_at }.write(&folder)?;
        fs::copy(wasm_image, node.file(COMMAND)?)?;
        let hosts = node.file("/etc/hosts")?;
        let known = fs::read_to_string(&hosts).unwrap_or_default();
        fs::write(&hosts, format!("{known}\n{ADDRESS} {HOST}\n"))?;
        // A machine trusts a CA that its administrator adds like this; containerd reads it when it starts.
        fs::copy(folder.join(CA), node.file("/usr/local/share/ca-certificates/registry-test.crt")?)?;
        node.exec(&["update-ca-certificates"]).await?;
        node.exec(&["systemctl", "restart", "containerd"]).await?;
        let configuration = format!("{FOLDER}/{CONFIGURATION}");
        node.exec(&["systemd-run", "--unit=registry", "docker-registry", "serve", &configuration]).await?;
        let listens = format!("until (: <>/dev/tcp/{ADDRESS}/{PORT}) 2>/dev/null; do sleep 0.05; done");
        node.exec(&["timeout", "20", "bash", "-c", &listens]).await?;
        let mut cri = Cri::connect(node.containerd()).await?;
        cri.ready(READY).await?;
        Ok(Self { node, cri, folder })
    }

    fn reference(name: &str) -> String {
        format!("{HOST}:{PORT}/{name}")
    }

    async fn push(&self, archive: &Path, reference: &str) -> anyhow::Result<String> {
        let there = "/srv/image.tar";
        fs::copy(archive, self.node.file(there)?)?;
        let input = format!("{FOLDER}/password");
        fs::write(self.node.file(&input)?, PASSWORD)?;
        let ca = format!("{FOLDER}/{CA}");
        let line = format!(
            "{COMMAND} push --ca-file {ca} --username {USER} --password-stdin {there} {reference} -o json <{input}"
        );
        self.node.exec(&["bash", "-c", &line]).await
    }

    async fn pull(&mut self, reference: &str, password: &str) -> anyhow::Result<String> {
        let auth =
            AuthConfig { username: USER.to_owned(), password: password.to_owned(), ..Default::default() };
        self.cri.pull(reference, auth).await
    }

    /// What the pull fails with; the image is not there then.
    async fn fails(&mut self, reference: &str, password: &str) -> String {
        let error = format!("{:#}", self.pull(reference, password).await.unwrap_err());
        assert!(!error.contains(PASSWORD), "{error}");
        assert!(self.cri.image(reference).await.unwrap().is_none(), "it is there all the same: {error}");
        error
    }
}

#[tokio::test]
async fn containerd_pulls_what_was_pushed_and_notices_what_was_spoilt() {
    let args = arguments(NODE);
    let archive = args.images.join(images::archive("debug-echo"));
    let wasm_image =
        std::env::var_os("E2E_WASM_IMAGE").map_or("../target/debug/wasm-image".into(), PathBuf::from);
    let missing = (!rustix::process::geteuid().is_root())
        .then(|| "not root".to_owned())
        .or_else(|| absent(&[archive.clone(), wasm_image.clone()]));
    if skipped("pulls through the CRI", missing) {
        return;
    }
    let mut place = Place::new(&args.scripts, &wasm_image).await.unwrap();
    let reference = Place::reference("akri-wasm/debug-echo:v1");
    let pushed: serde_json::Value =
        serde_json::from_str(&place.push(&archive, &reference).await.unwrap()).unwrap();
    let digest = pushed["digest"].as_str().unwrap().to_owned();

    let said = place.fails(&reference, "not-the-password").await;
    assert!(said.contains("401") || said.contains("authorization failed"), "{said}");

    place.pull(&reference, PASSWORD).await.unwrap();
    let image = place.cri.image(&reference).await.unwrap().expect("it was pulled");
    assert!(image.repo_digests.iter().any(|known| known.ends_with(&digest)), "{image:?}");
    place.cri.remove_image(&reference).await.unwrap();
    // Without its content, too, or containerd would not ask the registry for the layer again.
    place.node.exec(&["ctr", "--namespace", "k8s.io", "content", "prune", "references"]).await.unwrap();

    let report = wasm_image::inspect(&archive, &wasm_image::Limits::default()).unwrap();
    let layer = report.images[0].children[0].children[1].digest.clone().unwrap().to_string();
    let stored = blob(&place.folder, &layer).unwrap();
    let whole = fs::read(&stored).unwrap();
    let cut = &whole[..whole.len() / 2];
    for (what, bytes, words) in [("cut off", Some(cut), "unexpected EOF"), ("lost", None, "not found")] {
        match bytes {
            Some(bytes) => fs::write(&stored, bytes).unwrap(),
            None => fs::remove_file(&stored).unwrap(),
        }
        let said = place.fails(&reference, PASSWORD).await;
        assert!(said.contains(words), "{what}: {said}");
    }

    // Nothing of this was the image's fault: put back, it comes.
    fs::write(&stored, &whole).unwrap();
    place.pull(&reference, PASSWORD).await.unwrap();
    place.node.down().await.unwrap();
}
