//! What `apply` and `uninstall` do to configurations, and what they leave alone.

use wasm_node::apply::{Applied, ApplyError, apply};
use wasm_node::facts::{DetectError, detect};
use wasm_node::options::{KernelSettings, Options};
use wasm_node::plan::{Refusal, plan};
use wasm_node::system::System;
use wasm_node::uninstall::{Outcome, plan_removal, uninstall};

use crate::played::{BASE_SPEC, DEBIAN, HANDLER, MAIN, Played};

pub(crate) const USERS: &str = include_str!("../fixtures/users-changes.toml");
pub(crate) const IMPORTS: [&str; 2] =
    [include_str!("../fixtures/imports-main.toml"), include_str!("../fixtures/imports-cri.toml")];
const BY_HAND: &str = include_str!("../fixtures/crun-by-hand.toml");
pub(crate) const IMPORTED: &str = "/etc/containerd/conf.d/cri.toml";

pub(crate) fn applied(node: &Played) -> Result<Applied, ApplyError> {
    apply(node, &Options::default(), &mut |_| {})
}

pub(crate) fn uninstalled(node: &Played) -> Vec<(String, Outcome)> {
    let done = uninstall(node, &Options::default(), &mut |_| {}).unwrap();
    done.files.into_iter().map(|file| (file.path.display().to_string(), file.outcome)).collect()
}

#[test]
fn a_stock_node_gets_the_runtime_and_keeps_runc() {
    let node = Played::new(DEBIAN);
    assert_eq!(node.runtimes(), ["runc"]);
    assert_eq!(applied(&node).unwrap(), Applied::Done);
    assert_eq!(node.runtimes(), [HANDLER, "runc"]);
    let config = node.get(MAIN).unwrap();
    assert!(config.starts_with(DEBIAN) && config.contains("runtimes.runc]"), "{config}");
    let spec: serde_json::Value = serde_json::from_str(&node.get(BASE_SPEC).unwrap()).unwrap();
    assert_eq!(spec["annotations"]["module.wasm.image/variant"], "compat-smart");
    assert!(spec["process"].get("rlimits").is_none() && spec["linux"].get("seccomp").is_none());
    let running = node.running.borrow();
    let runtime = &running.as_ref().unwrap()[HANDLER];
    assert_eq!((&*runtime.binary, &*runtime.base_runtime_spec), ("/usr/bin/crun", BASE_SPEC));
    assert!(!runtime.systemd_cgroup, "as runc");
}

#[test]
fn a_second_run_changes_and_restarts_nothing() {
    for config in [DEBIAN, USERS, ""] {
        let node = Played::new(config);
        applied(&node).unwrap();
        let (files, changes) = (node.snapshot(), node.life.changes.get());
        assert_eq!(applied(&node).unwrap(), Applied::Unchanged);
        assert_eq!((node.snapshot(), node.life.changes.get(), node.restarts()), (files, changes, 1));
        let facts = detect(&node, &Options::default()).unwrap();
        assert!(plan(&facts, &Options::default()).unwrap().is_empty());
    }
}

#[test]
fn what_people_wrote_stays_and_comes_back() {
    let node = Played::new(USERS);
    let before = node.snapshot();
    applied(&node).unwrap();
    assert!(node.get(MAIN).unwrap().starts_with(USERS));
    assert_eq!(node.runtimes(), [HANDLER, "kata", "runc"]);
    assert!(node.running.borrow().as_ref().unwrap()[HANDLER].systemd_cgroup, "as runc");
    let outcomes = uninstalled(&node);
    assert_eq!(outcomes, [(MAIN.to_owned(), Outcome::Restored), (BASE_SPEC.to_owned(), Outcome::Removed)]);
    assert_eq!(node.snapshot(), before);
    assert_eq!(node.runtimes(), ["kata", "runc"]);
    assert_eq!(uninstalled(&node), [], "a second time there is nothing to do");
    assert_eq!(node.restarts(), 2);
}

#[test]
fn only_our_block_goes_where_somebody_changed_the_file_since() {
    let node = Played::new(DEBIAN);
    applied(&node).unwrap();
    let with = node.get(MAIN).unwrap();
    node.put(MAIN, &format!("{with}\n# mine, later\n"));
    node.put(BASE_SPEC, "{\"mine\": true}");
    let planned = plan_removal(&node, &Options::default()).unwrap();
    assert_eq!(planned.files.len(), 2);
    let outcomes = uninstalled(&node);
    assert_eq!(outcomes, [(MAIN.to_owned(), Outcome::BlockTakenOut), (BASE_SPEC.to_owned(), Outcome::Kept)]);
    assert_eq!(node.get(MAIN).unwrap(), format!("{DEBIAN}\n# mine, later\n"));
    assert_eq!(node.get(BASE_SPEC).unwrap(), "{\"mine\": true}");
}

#[test]
fn changes_that_came_in_between_are_the_new_original() {
    let node = Played::new(DEBIAN);
    applied(&node).unwrap();
    node.put(
        MAIN,
        &format!(
            "# mine, later\n{}",
            node.get(MAIN).unwrap().replace("SystemdCgroup = false", "SystemdCgroup = true")
        ),
    );
    assert_eq!(applied(&node).unwrap(), Applied::Done);
    assert!(node.get(MAIN).unwrap().contains("SystemdCgroup = false"));
    assert_eq!(uninstalled(&node)[0].1, Outcome::Restored);
    assert_eq!(node.get(MAIN).unwrap(), format!("# mine, later\n{DEBIAN}"));
}

#[test]
fn uninstall_without_a_record_takes_the_block_out() {
    let node = Played::new(USERS);
    applied(&node).unwrap();
    std::fs::remove_dir_all(node.folder.path().join("var/lib/wasm-node")).unwrap();
    assert_eq!(uninstalled(&node), [(MAIN.to_owned(), Outcome::BlockTakenOut)]);
    assert_eq!(node.get(MAIN).unwrap(), USERS);
}

#[test]
fn with_containerd_1_an_imported_cri_table_is_the_one_that_counts() {
    let node = Played::new(IMPORTS[0]);
    node.put(IMPORTED, IMPORTS[1]);
    node.start();
    let before = node.snapshot();
    applied(&node).unwrap();
    assert_eq!(node.get(MAIN).unwrap(), IMPORTS[0]);
    assert!(node.get(IMPORTED).unwrap().starts_with(IMPORTS[1]));
    assert_eq!(node.runtimes(), [HANDLER, "runc"]);
    uninstalled(&node);
    assert_eq!(node.snapshot(), before);
}

#[test]
fn a_runtime_by_hand_is_left_alone_or_refused() {
    let node = Played::new(BY_HAND);
    applied(&node).unwrap();
    assert_eq!(node.get(MAIN).unwrap(), BY_HAND);
    let node = Played::new(&BY_HAND.replace("/usr/bin/crun", "/usr/bin/runc"));
    let before = node.snapshot();
    let refused = applied(&node).unwrap_err();
    assert!(matches!(refused, ApplyError::Refused(Refusal::HandlerTaken { .. })), "{refused}");
    assert_eq!(node.snapshot(), before);
    // Another name is free.
    let options = Options { handler: "wasm".parse().unwrap(), ..Options::default() };
    apply(&node, &options, &mut |_| {}).unwrap();
    assert_eq!(node.runtimes(), [HANDLER, "runc", "wasm"]);
}

#[test]
fn what_containerd_could_not_read_is_refused_and_untouched() {
    for broken in [
        "version = 2\n[plugins\n",
        "version = 1\n",
        "disabled_plugins = [\"cri\"]\n",
        "version = 2\nx = \"\u{1}\"\n",
    ] {
        let node = Played::new(broken);
        let before = node.snapshot();
        let refused = applied(&node).unwrap_err();
        assert!(matches!(refused, ApplyError::Detect(DetectError::Config { .. })), "{refused}");
        assert_eq!((node.snapshot(), node.life.changes.get(), node.restarts()), (before, 0, 0));
    }
    let braces = "version = 2\nplugins = { \"io.containerd.grpc.v1.cri\" = { sandbox_image = \"x\" } }\n";
    let node = Played::new(braces);
    assert!(matches!(applied(&node).unwrap_err(), ApplyError::Refused(Refusal::Config { .. })));
    assert_eq!(node.get(MAIN).unwrap(), braces);
}

#[test]
fn a_containerd_that_is_worse_off_gets_everything_back() {
    let node = Played::new(DEBIAN);
    node.sabotaged.set(true);
    let before = node.snapshot();
    let error = applied(&node).unwrap_err();
    assert!(matches!(error, ApplyError::Worse { .. }), "{error}");
    assert!(error.to_string().contains("it is as before"), "{error}");
    assert_eq!((node.snapshot(), node.runtimes()), (before, vec!["runc".to_owned()]));
    node.sabotaged.set(false);
    assert_eq!(applied(&node).unwrap(), Applied::Done);
}

#[test]
fn a_containerd_that_is_down_is_started() {
    let node = Played::new(DEBIAN);
    *node.running.borrow_mut() = None;
    assert_eq!(applied(&node).unwrap(), Applied::Done);
    assert_eq!(node.runtimes(), [HANDLER, "runc"]);
}

#[test]
fn containerd_with_older_settings_is_restarted_though_no_file_changes() {
    let node = Played::new(DEBIAN);
    applied(&node).unwrap();
    node.running.borrow_mut().as_mut().unwrap().remove(HANDLER);
    assert_eq!(applied(&node).unwrap(), Applied::Done);
    assert_eq!((node.runtimes().len(), node.restarts()), (2, 2));
}

#[test]
fn without_systemd_the_restart_is_a_persons() {
    let node = Played::new(DEBIAN);
    std::fs::remove_dir_all(node.folder.path().join("run/systemd")).unwrap();
    assert_eq!(applied(&node).unwrap(), Applied::RestartDue);
    assert_eq!((node.restarts(), node.runtimes()), (0, vec!["runc".to_owned()]));
    assert_eq!(applied(&node).unwrap(), Applied::RestartDue, "it still is");
    node.start();
    assert_eq!(applied(&node).unwrap(), Applied::Done);
    assert_eq!(applied(&node).unwrap(), Applied::Unchanged);
}

#[test]
fn in_a_root_folder_nothing_is_restarted() {
    let mut node = Played::new(DEBIAN);
    node.live = false;
    assert_eq!(applied(&node).unwrap(), Applied::Done);
    assert_eq!((node.restarts(), applied(&node).unwrap()), (0, Applied::Unchanged));
    let before = Played::new(DEBIAN).snapshot();
    uninstalled(&node);
    assert_eq!(node.snapshot(), before);
}

#[test]
fn modules_and_settings_stay_where_there_is_a_kubelet() {
    let node = Played::new(DEBIAN);
    node.put("/var/lib/kubelet/config.yaml", "cgroupDriver: systemd\n");
    node.put("/etc/sysctl.d/10-mine.conf", "net.ipv4.ip_forward=1\n");
    let before = node.snapshot();
    applied(&node).unwrap();
    assert!(node.get("/etc/modules-load.d/wasm-node.conf").unwrap().ends_with("overlay\nbr_netfilter\n"));
    let settings = node.get("/etc/sysctl.d/90-wasm-node.conf").unwrap();
    assert!(
        settings.contains("bridge-nf-call-iptables = 1") && !settings.contains("ip_forward"),
        "{settings}"
    );
    assert!(node.running.borrow().as_ref().unwrap()[HANDLER].systemd_cgroup, "as the kubelet");
    assert_eq!(applied(&node).unwrap(), Applied::Unchanged);
    uninstalled(&node);
    assert_eq!(node.snapshot(), before);
    let options = Options { kernel: KernelSettings::Never, ..Options::default() };
    apply(&node, &options, &mut |_| {}).unwrap();
    assert!(node.get("/etc/modules-load.d/wasm-node.conf").is_none());
}

#[test]
fn one_at_a_time() {
    let node = Played::new(DEBIAN);
    node.put("/var/lib/wasm-node/x", "");
    let held = node.tree().lock(std::path::Path::new("/var/lib/wasm-node")).unwrap();
    assert!(matches!(applied(&node).unwrap_err(), ApplyError::Locked));
    drop(held);
    applied(&node).unwrap();
}
