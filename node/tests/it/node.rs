//! A real node: Debian 13 with systemd and containerd as its package leaves it, booted by scripts/edge-node. One node for
//! all of it, put back to what it was after each part. Needs root, and a Debian mirror for the packages.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use serde_json::Value;
use wasm_image::{Contents, Recipe, build};

use crate::applying::{IMPORTED, IMPORTS};
use crate::played::{BASE_SPEC, HANDLER, MAIN};

/// Set to 1, a test that cannot run is a failure: for machines that are meant to run all of them.
const REQUIRE: &str = "REQUIRE_NODE";
const PROGRAM: &str = "/share/wasm-node";
/// What a user wrote, on this node's containerd.
const USERS: &str = "# mine\nversion = 2\n\n[plugins.\"io.containerd.grpc.v1.cri\"]\n\trestrict_oom_score_adj = true\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n\truntime_type = \"io.containerd.runc.v2\"\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n\tSystemdCgroup = true\n# no end";
/// Has containerd fail to start with our runtime, by no fault of its configuration.
const SABOTAGE: &str = "mkdir -p /etc/systemd/system/containerd.service.d && printf '[Service]\\nExecStartPre=/bin/sh -c \"! grep -q crun-wasmedge /etc/containerd/config.toml\"\\nRestart=no\\n' > /etc/systemd/system/containerd.service.d/sabotage.conf && systemctl daemon-reload";

pub(crate) struct Node {
    name: &'static str,
    script: PathBuf,
    pub share: PathBuf,
    pub stock: String,
}

impl Node {
    /// Boots one of scripts/edge-node's that nothing was set up on; `None`, and it is said, where that is not asked for.
    pub(crate) fn up(name: &'static str, root: &[&str]) -> Option<Self> {
        if std::env::var_os(REQUIRE).is_none_or(|value| value != "1") {
            use std::io::Write;
            // Straight to the terminal: the harness hides what passing tests print.
            let _ = writeln!(std::io::stderr(), "skipped: the node {name} (set {REQUIRE}=1, as root)");
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/edge-node");
        let up = Command::new(&script)
            .args(["up", "--name", name])
            .args(root)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(up.success());
        let mut node = Self { name, script, share: PathBuf::new(), stock: String::new() };
        let status =
            Command::new(&node.script).args(["status", "--name", name, "-o", "json"]).output().unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        node.share = status["share"].as_str().unwrap().into();
        std::fs::copy(env!("CARGO_BIN_EXE_wasm-node"), node.share.join("wasm-node")).unwrap();
        node.stock = node.well(&["cat", MAIN]);
        Some(node)
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let exec = ["exec", "--name", self.name, "--host-network", "--"];
        Command::new(&self.script).args(exec).args(words).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs it; what it printed. It has to end well.
    pub(crate) fn well(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    pub(crate) fn shell(&self, line: &str) -> String {
        self.well(&["sh", "-c", line])
    }

    /// Runs our program; its exit code and what it said.
    pub(crate) fn program(&self, arguments: &[&str]) -> (i32, String) {
        let ran = self.run(&[&[PROGRAM], arguments].concat());
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    fn applies(&self) {
        let (code, said) = self.program(&["apply"]);
        assert_eq!(code, 0, "{said}");
    }

    fn uninstalls(&self) {
        let (code, said) = self.program(&["uninstall"]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(
            self.shell("ls -A /etc/containerd; ls -d /var/lib/wasm-node 2>&1 | wc -l").lines().next(),
            Some("config.toml")
        );
        assert!(self.run(&["test", "-e", "/var/lib/wasm-node"]).status.code() == Some(1));
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.share.join("config.toml"), text).unwrap();
        self.shell(&format!("cp /share/config.toml {MAIN} && systemctl restart containerd"));
    }

    pub(crate) fn config(&self) -> String {
        self.well(&["cat", MAIN])
    }

    fn pid(&self) -> String {
        self.well(&["systemctl", "show", "--property", "MainPID", "--value", "containerd"])
    }

    fn cri_is_alive(&self) -> bool {
        let plugins = self.run(&["ctr", "plugins", "list"]);
        let plugins = String::from_utf8_lossy(&plugins.stdout).into_owned();
        plugins.lines().any(|line| {
            line.split_whitespace().eq(["io.containerd.grpc.v1", "cri", "linux/amd64", "ok"])
                || line.split_whitespace().eq(["io.containerd.grpc.v1", "cri", "linux/arm64", "ok"])
        })
    }

    /// Images, containers and files of a trial: nothing else is on this node.
    fn trial_left(&self) -> String {
        self.shell("ctr -n k8s.io images list -q; ctr -n k8s.io containers list -q; ls -A /run/wasm-node")
    }

    /// The findings of doctor, which has to find no error.
    pub(crate) fn doctor(&self) -> Value {
        let ran = self.run(&[PROGRAM, "doctor", "-o", "json"]);
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(
            [Some(0), Some(3)].contains(&ran.status.code()),
            "{said}{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        serde_json::from_str(&said).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let down =
            Command::new(&self.script).args(["down", "--name", self.name]).stdin(Stdio::null()).status();
        if !down.is_ok_and(|status| status.success()) {
            eprintln!("node {} was not taken down", self.name);
        }
    }
}

#[test]
fn on_a_stock_debian_13() {
    let Some(node) = Node::up("wasm-node-test", &["--stock"]) else { return };
    broken_toml_is_refused(&node);
    from_stock_to_a_modules_hello(&node);
    a_second_time_nothing_happens(&node);
    containerd_that_is_down_is_started(&node);
    what_a_killed_doctor_leaves_is_removed(&node);
    an_image_that_was_there_stays(&node);
    node.uninstalls();
    assert_eq!(node.config(), node.stock, "byte for byte");
    what_cannot_be_written_is_left(&node);
    worse_is_put_back(&node);
    users_changes_stay(&node);
    imports_are_followed(&node);
    by_hand_is_enough(&node);
    a_kill_at_any_change_costs_nothing(&node);
}

fn broken_toml_is_refused(node: &Node) {
    let (pid, broken) = (node.pid(), format!("{}\n[plugins", node.stock));
    std::fs::write(node.share.join("config.toml"), &broken).unwrap();
    node.well(&["cp", "/share/config.toml", MAIN]);
    let (code, said) = node.program(&["apply"]);
    assert!(code == 1 && said.contains("no valid TOML"), "{code}: {said}");
    assert_eq!((node.config(), node.pid()), (broken, pid));
    assert!(!node.shell("ls /usr/bin").contains("crun"), "nothing was installed");
    std::fs::write(node.share.join("config.toml"), &node.stock).unwrap();
    node.well(&["cp", "/share/config.toml", MAIN]);
}

/// Packages included, in under a minute where they come quickly.
fn from_stock_to_a_modules_hello(node: &Node) {
    assert_eq!(node.program(&["plan"]).0, 3);
    let began = Instant::now();
    node.applies();
    let said = node.doctor();
    eprintln!(
        "wasm-node apply && wasm-node doctor on a stock Debian 13: {:.1} s",
        began.elapsed().as_secs_f64()
    );
    says_hello(&said);
    // It leaves nothing.
    assert_eq!(node.shell("ctr -n k8s.io images list -q; ctr -n k8s.io containers list -q"), "");
    assert!(node.config().starts_with(&node.stock));
}

/// A module alone, then one beside a native program.
pub(crate) fn says_hello(findings: &Value) {
    let trials: Vec<&str> = findings["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|of| of["check"] == "trial")
        .map(|of| of["text"].as_str().unwrap())
        .collect();
    assert!(trials.len() == 2 && trials[0].contains("hello from WebAssembly: "), "{trials:?}");
}

fn a_second_time_nothing_happens(node: &Node) {
    let pid = node.pid();
    let (code, said) = node.program(&["apply", "-o", "json"]);
    assert!(code == 0 && said.contains("\"unchanged\""), "{said}");
    assert_eq!((node.pid(), node.program(&["plan"]).0), (pid, 0));
}

fn containerd_that_is_down_is_started(node: &Node) {
    node.well(&["systemctl", "stop", "containerd"]);
    let (code, said) = node.program(&["doctor"]);
    assert!(code == 1 && said.contains("nobody answers"), "{said}");
    node.applies();
    assert!(node.cri_is_alive());
    node.doctor();
}

/// SIGKILL at each step of a trial: whatever is run next removes what is left, the stand-in for the sandbox image among it.
fn what_a_killed_doctor_leaves_is_removed(node: &Node) {
    if cfg!(not(feature = "kill-points")) {
        eprintln!("left out: doctors that are killed (build with --features kill-points)");
        return;
    }
    let (mut stood_in, mut pods) = (0, 0);
    for at in 1..100 {
        let command = format!("WASM_NODE_KILL_AT={at} exec {PROGRAM} doctor");
        let ran = node.run(&["sh", "-c", &command]);
        if ran.status.code().is_some_and(|code| code == 0 || code == 3) {
            assert!(at > 5 && stood_in > 0 && pods > 0, "{at} {stood_in} {pods}");
            assert_eq!(node.trial_left(), "");
            eprintln!("doctor was killed at each of {} steps", at - 1);
            return;
        }
        let left = node.trial_left();
        stood_in += usize::from(left.contains("/pause:"));
        pods += usize::from(left.lines().any(|line| line.len() == 64));
        let next = ["doctor", "apply", "uninstall"][at % 3];
        let (code, said) = node.program(&[next]);
        assert!([0, 3].contains(&code), "{next} after a kill at {at}: {said}");
        assert_eq!(node.trial_left(), "", "{next} after a kill at {at}");
        node.applies();
    }
    panic!("doctor takes too many steps");
}

/// Under the sandbox image's name, as small as ours, and no use at all.
fn an_image_that_was_there_stays(node: &Node) {
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01`\0\0\x03\x02\x01\0\x05\x03\x01\0\x01\x07\x13\x02\x06_start\0\0\x06memory\x02\0\n\x04\x01\x02\0\x0b";
    let config = node.well(&["containerd", "config", "dump"]);
    let name = config.split_once("sandbox_image = \"").unwrap().1.split_once('"').unwrap().0;
    std::fs::write(node.share.join("useless.wasm"), MODULE).unwrap();
    let contents = Contents::Module {
        path: node.share.join("useless.wasm"),
        imports: Default::default(),
        compiled: Vec::new(),
    };
    let recipe = Recipe::new(contents, name.parse().unwrap());
    build(&recipe, &wasm_image::Output::Archive(node.share.join("useless.tar"))).unwrap();
    node.well(&["ctr", "-n", "k8s.io", "images", "import", "/share/useless.tar"]);
    // The CRI gives it a second name, its id, a moment later.
    let (before, began) = (format!("{name}\n"), Instant::now());
    while !node.shell("ctr -n k8s.io images list -q").contains("sha256:") {
        assert!(began.elapsed().as_secs() < 10, "the CRI does not know the image");
    }
    // No pod can be run on it.
    assert_eq!(node.program(&["doctor"]).0, 1);
    node.applies();
    assert_eq!(node.shell("ctr -n k8s.io images list -q | grep -v ^sha256:"), before);
    node.shell("ctr -n k8s.io images remove $(ctr -n k8s.io images list -q)");
}

/// In mount namespaces of their own, where the file system is read-only or full.
fn what_cannot_be_written_is_left(node: &Node) {
    let pid = node.pid();
    let read_only = format!("mount --rbind / /mnt && mount -o remount,bind,ro /mnt && exec {PROGRAM} apply");
    let read_only =
        read_only.replace("--rbind / /mnt", "--bind / / --make-private").replace("ro /mnt", "ro /");
    let ran = node.run(&["unshare", "--mount", "sh", "-c", &read_only]);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.code() == Some(1) && said.contains("Read-only file system"), "{said}");
    // Room for what is there, and not for the base spec.
    let full = format!(
        "mkdir -p /run/full && cp -a /etc/containerd/. /run/full && mount -t tmpfs -o size=8k,mode=0755 full /etc/containerd \
         && cp -a /run/full/. /etc/containerd; {PROGRAM} apply; echo \"code $?\"; ls -A /etc/containerd; cat {MAIN}"
    );
    let ran = node.run(&["unshare", "--mount", "sh", "-c", &full]);
    let (said, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(errors.contains("No space left on device"), "{said}{errors}");
    assert_eq!(said, format!("code 1\nconfig.toml\n{}", node.stock));
    assert_eq!((node.config(), node.pid()), (node.stock.clone(), pid));
    assert_eq!(node.run(&["test", "-e", "/var/lib/wasm-node"]).status.code(), Some(1), "{errors}");
}

fn worse_is_put_back(node: &Node) {
    node.shell(SABOTAGE);
    let (code, said) = node.program(&["apply"]);
    assert!(code == 1 && said.contains("everything was put back, and it is as before"), "{said}");
    assert_eq!(node.config(), node.stock);
    assert!(node.cri_is_alive() && node.run(&["test", "-e", BASE_SPEC]).status.code() == Some(1));
    node.shell("rm -r /etc/systemd/system/containerd.service.d && systemctl daemon-reload && systemctl restart containerd");
}

fn users_changes_stay(node: &Node) {
    node.configure(USERS);
    node.applies();
    assert!(node.config().starts_with(USERS));
    node.doctor();
    node.uninstalls();
    assert_eq!(node.config(), USERS);
    assert!(node.cri_is_alive());
}

fn imports_are_followed(node: &Node) {
    let imported = IMPORTS[1].replace(
        "version = 2\n",
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  restrict_oom_score_adj = true\n",
    );
    std::fs::write(node.share.join("cri.toml"), &imported).unwrap();
    node.shell(&format!("mkdir -p /etc/containerd/conf.d && cp /share/cri.toml {IMPORTED}"));
    node.configure(IMPORTS[0]);
    assert!(node.cri_is_alive());
    node.applies();
    node.doctor();
    assert_eq!(node.config(), IMPORTS[0]);
    assert_eq!(node.program(&["uninstall"]).0, 0);
    assert_eq!((node.config(), node.well(&["cat", IMPORTED])), (IMPORTS[0].to_owned(), imported));
    node.shell("rm -r /etc/containerd/conf.d");
}

fn by_hand_is_enough(node: &Node) {
    let text = format!(
        "{USERS}\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.{HANDLER}]\nruntime_type = \"io.containerd.runc.v2\"\nbase_runtime_spec = \"/etc/containerd/mine.json\"\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.{HANDLER}.options]\nBinaryName = \"/usr/bin/crun\"\nSystemdCgroup = true\n"
    );
    node.shell(r#"ctr oci spec | sed 's|"ociVersion"|"annotations": {"module.wasm.image/variant": "compat-smart"}, "ociVersion"|' > /etc/containerd/mine.json"#);
    node.configure(&text);
    node.applies();
    assert_eq!(node.config(), text);
    node.doctor();
    let (code, said) = node.program(&["uninstall"]);
    assert_eq!((code, node.config()), (0, text), "{said}");
    node.shell("rm /etc/containerd/mine.json");
}

/// SIGKILL before each change, in a build that can be told so; then a start of containerd, then a run to the end.
fn a_kill_at_any_change_costs_nothing(node: &Node) {
    node.configure(&node.stock);
    if cfg!(not(feature = "kill-points")) {
        eprintln!("left out: kills at each change (build with --features kill-points)");
        return;
    }
    let mut done = None;
    for at in 1..100 {
        let command = format!("WASM_NODE_KILL_AT={at} exec {PROGRAM} apply");
        let ran = node.run(&["sh", "-c", &command]);
        if ran.status.success() {
            assert_ne!(done, None, "there was nothing to kill");
            node.uninstalls();
            eprintln!("killed at each of {} changes", at - 1);
            return;
        }
        assert!(node.cri_is_alive(), "killed at {at}");
        node.well(&["systemctl", "restart", "containerd"]);
        assert!(node.cri_is_alive(), "killed at {at}, and started anew");
        node.applies();
        let config = node.config();
        assert_eq!(done.get_or_insert_with(|| config.clone()), &config, "killed at {at}");
        assert_eq!(node.program(&["plan"]).0, 0, "killed at {at}");
        node.uninstalls();
        assert_eq!(node.config(), node.stock, "killed at {at}");
    }
    panic!("apply makes too many changes");
}
