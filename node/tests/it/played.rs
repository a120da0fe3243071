//! A node that is played: real files in a temporary root, and a containerd, a package manager and a systemd that do to
//! them what the real ones do, as far as it matters here. It can be ended at each change, as by SIGKILL.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::TempDir;
use wasm_node::config::{ConfigVersion, Document, RuntimeTable, render_runtime};
use wasm_node::cri::{CriError, CriState, LiveRuntime};
use wasm_node::invocation::{Invocation, Ran};
use wasm_node::system::{Fate, Patience, System, Tree};

pub(crate) const MAIN: &str = "/etc/containerd/config.toml";
pub(crate) const BASE_SPEC: &str = "/etc/containerd/crun-wasmedge.json";
pub(crate) const HANDLER: &str = "crun-wasmedge";
pub(crate) const DEBIAN: &str = include_str!("../fixtures/debian-13.toml");
pub(crate) const WITH_ENGINE: &str = "+SYSTEMD +CAP +SECCOMP +CRIU +WASM:wasmedge +YAJL";
pub(crate) const WITHOUT_ENGINE: &str = "+SYSTEMD +CAP +SECCOMP +CRIU +YAJL";
const OCI_SPEC: &str = r#"{"ociVersion": "1.2.0", "process": {"cwd": "/", "rlimits": [{"type": "RLIMIT_NOFILE"}],
    "apparmorProfile": "x"}, "linux": {"seccomp": {}, "namespaces": [{"type": "pid"}]}}"#;

/// How many changes happen until the run ends; none at all afterwards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub changes: Rc<Cell<u64>>,
    pub last: Rc<Cell<Option<u64>>>,
}

impl Fate for Life {
    fn before(&self, change: &str) -> io::Result<()> {
        if self.last.get().is_some_and(|last| self.changes.get() >= last) {
            return Err(io::Error::other(format!("ended before: {change}")));
        }
        self.changes.set(self.changes.get() + 1);
        Ok(())
    }
}

impl Life {
    fn is_over(&self) -> bool {
        self.last.get().is_some_and(|last| self.changes.get() >= last)
    }
}

pub(crate) struct Played {
    pub folder: TempDir,
    tree: Tree,
    pub life: Life,
    /// containerd's version.
    pub version: &'static str,
    /// What runs: the runtimes that containerd has loaded; nothing while it is down.
    pub running: RefCell<Option<BTreeMap<String, LiveRuntime>>>,
    /// Every command that changes something.
    pub commands: RefCell<Vec<String>>,
    /// The features of the distribution's crun, and of Debian 13's where that is asked for.
    pub archive: [&'static str; 2],
    /// containerd does not start with our runtime, whatever its configuration says.
    pub sabotaged: Cell<bool>,
    pub live: bool,
}

impl Played {
    /// A node with this main configuration, crun and the engine; containerd runs.
    pub(crate) fn new(config: &str) -> Self {
        let node = Self::bare(config);
        node.install_crun(WITH_ENGINE);
        node.put("/usr/lib/x86_64-linux-gnu/libwasmedge.so.0", "");
        node
    }

    /// Without crun and engine.
    pub(crate) fn bare(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::default();
        let tree = Tree::open(folder.path(), Box::new(life.clone())).unwrap();
        let node = Self {
            folder,
            tree,
            life,
            version: "1.7.24~ds1",
            running: RefCell::default(),
            commands: RefCell::default(),
            archive: [WITH_ENGINE; 2],
            sabotaged: Cell::new(false),
            live: true,
        };
        node.put(
            "/etc/os-release",
            "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\nPRETTY_NAME=\"Debian 13\"\n",
        );
        node.put("/usr/lib/systemd/system/containerd.service", "[Service]\nExecStart=/usr/bin/containerd\n");
        node.put("/run/systemd/system/x", "");
        node.put(MAIN, config);
        node.start();
        node
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        let path = self.folder.path().join(&path[1..]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join(&path[1..])).ok()
    }

    /// Features as its second line has them; kept in the file itself.
    pub(crate) fn install_crun(&self, features: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.put("/usr/bin/crun", &format!("crun version 1.21\n{features}\n"));
        let path = self.folder.path().join("usr/bin/crun");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// All files but those that only are there to play with.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(
                        path.strip_prefix(self.folder.path()).unwrap().to_owned(),
                        std::fs::read_to_string(&path).unwrap(),
                    );
                }
            }
        }
        files
    }

    pub(crate) fn restarts(&self) -> usize {
        self.commands.borrow().iter().filter(|command| command.contains("systemctl restart")).count()
    }

    pub(crate) fn runtimes(&self) -> Vec<String> {
        self.running.borrow().iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    /// What a start of containerd, or of the machine, makes of the files.
    pub(crate) fn start(&self) {
        let loaded = self.load(Path::new(MAIN)).ok().map(|tables| {
            tables.into_iter().map(|(name, table)| (name, table.runtime)).collect::<BTreeMap<_, _>>()
        });
        // Without its default runtime the CRI does not come up, though containerd does.
        let loaded = loaded.filter(|of| of.contains_key("runc"));
        // It reads the base specs when it starts.
        let readable = |runtime: &LiveRuntime| {
            runtime.base_runtime_spec.is_empty()
                || self
                    .get(&runtime.base_runtime_spec)
                    .is_some_and(|text| serde_json::from_str::<serde_json::Value>(&text).is_ok())
        };
        let loaded = loaded.filter(|of| of.values().all(readable));
        let loaded = loaded.filter(|of| !(self.sabotaged.get() && of.contains_key(HANDLER)));
        *self.running.borrow_mut() = loaded;
    }

    /// The runtimes of a configuration: with 1.x a later file's CRI table replaces, with 2.x they are merged, and the
    /// first one that is declared drops the implicit runc.
    fn load(&self, main: &Path) -> Result<BTreeMap<String, RuntimeTable>, String> {
        let tree = &self.tree;
        let mut runtimes = BTreeMap::new();
        let mut waiting = vec![main.to_owned()];
        while !waiting.is_empty() {
            let path = waiting.remove(0);
            let Some(bytes) = tree.read(&path).map_err(|error| error.to_string())? else { continue };
            let document = Document::parse(&bytes).map_err(|error| error.to_string())?;
            if self.version.starts_with('1') && document.has_cri() {
                runtimes.clear();
            }
            runtimes.extend(document.runtimes());
            for pattern in document.imports() {
                let pattern = path.parent().unwrap().join(pattern);
                let folder = pattern.parent().unwrap();
                let names = tree.list(folder).unwrap().into_iter();
                waiting.extend(names.filter(|name| name.ends_with(".toml")).map(|name| folder.join(name)));
            }
        }
        if runtimes.is_empty() || self.version.starts_with('2') {
            runtimes.entry("runc".to_owned()).or_insert_with(RuntimeTable::implicit_runc);
        }
        Ok(runtimes)
    }

    fn dump(&self, main: &str) -> Ran {
        let version = if self.version.starts_with('1') { ConfigVersion::TWO } else { ConfigVersion::THREE };
        match self.load(Path::new(main)) {
            Ok(runtimes) => {
                let tables: String =
                    runtimes.iter().map(|(name, table)| render_runtime(name, table, version)).collect();
                said(&format!("version = {}\nimports = [\"{main}\"]\n{tables}", version.number()))
            }
            Err(error) => Ran { code: Some(1), stdout: String::new(), stderr: error },
        }
    }

    fn install(&self, packages: &[String]) {
        for package in packages {
            match &**package {
                "crun" => self.install_crun(self.archive[0]),
                "crun/trixie" => {
                    assert!(self.get("/etc/apt/preferences.d/wasm-node-trixie").is_some(), "not pinned");
                    self.install_crun(self.archive[1]);
                }
                "libwasmedge0" | "libwasmedge0/trixie" => {
                    self.put("/usr/lib/x86_64-linux-gnu/libwasmedge.so.0", "")
                }
                "containerd" => {
                    self.put(MAIN, DEBIAN);
                    self.start();
                }
                _ => {}
            }
        }
    }
}

impl System for Played {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn run(&self, invocation: &Invocation) -> io::Result<Ran> {
        let arguments: Vec<&str> = invocation.arguments.iter().map(String::as_str).collect();
        if self.life.is_over() {
            return Err(io::Error::other("ended"));
        }
        match (&*invocation.program, arguments.as_slice()) {
            ("containerd", _) if self.get(MAIN).is_none() && self.version.is_empty() => {
                Err(io::ErrorKind::NotFound.into())
            }
            ("containerd" | "k3s" | "microk8s.ctr" | "/var/lib/rancher/rke2/bin/ctr", [.., "--version"]) => {
                Ok(said(&format!("containerd github.com/containerd/containerd {}", self.version)))
            }
            ("containerd", ["--config", config, "config", "dump"]) => Ok(self.dump(config)),
            (_, [.., "oci", "spec"]) => Ok(said(OCI_SPEC)),
            ("/usr/bin/crun", _) => Ok(said(&self.get("/usr/bin/crun").unwrap())),
            (program, arguments) => {
                self.life.before(program)?;
                self.commands.borrow_mut().push(invocation.to_string());
                match (program, arguments) {
                    ("systemctl", ["restart", _]) => {
                        self.start();
                        // As a kill right after it.
                        self.life.before("hear of the restart")?;
                        if self.running.borrow().is_none() {
                            return Ok(Ran {
                                code: Some(1),
                                stdout: String::new(),
                                stderr: "failed".to_owned(),
                            });
                        }
                    }
                    ("apt-get", arguments) if arguments.contains(&"install") => {
                        self.install(&invocation.arguments)
                    }
                    _ => {}
                }
                Ok(said(""))
            }
        }
    }

    fn cri(&self, socket: &Path, _: Patience) -> Result<CriState, CriError> {
        match &*self.running.borrow() {
            Some(runtimes) => Ok(CriState {
                version: format!("containerd {}", self.version),
                runtime_ready: true,
                network_ready: false,
                runtimes: runtimes.clone(),
                default_runtime: Some("runc".to_owned()),
                ..CriState::default()
            }),
            None => Err(CriError::Down { path: socket.to_owned() }),
        }
    }
}

fn said(text: &str) -> Ran {
    Ran { code: Some(0), stdout: text.to_owned(), stderr: String::new() }
}
