//! What can be said without running anything: from facts alone.

use std::path::Path;

use super::{Report, Severity};
use crate::facts::{Facts, Live};
use crate::options::Options;
use crate::plan::{base_spec, plan};
use crate::spec;
use crate::system::Tree;

/// What to do about almost everything.
const APPLY: &str = "run `wasm-node apply`";

/// Looks at the facts, and at the files that the configuration names.
pub fn examine(facts: &Facts, options: &Options, tree: &Tree) -> Report {
    let mut report = Report::default();
    engine(facts, &mut report);
    configuration(facts, options, tree, &mut report);
    live(facts, options, &mut report);
    kernel(facts, &mut report);
    open_yurt(facts, options, tree, &mut report);
    report
}

fn engine(facts: &Facts, report: &mut Report) {
    match &facts.crun {
        None => report.add(Severity::Error, "crun", "crun is not installed", APPLY),
        Some(crun) => match (&crun.failure, crun.has_engine()) {
            (Some(why), _) if !facts.live => report.add(
                Severity::Warning,
                "crun",
                format!("{} cannot be asked in a root folder: {why}", crun.path.display()),
                "ask once the node runs",
            ),
            (Some(why), _) => report.add(
                Severity::Error,
                "crun",
                format!("{} cannot be run: {why}", crun.path.display()),
                "reinstall crun",
            ),
            (None, true) => {
                report.ok(
                    "crun",
                    format!("{} {} has {}", crun.path.display(), crun.version, spec::CRUN_FEATURE),
                );
            }
            (None, false) => report.add(
                Severity::Error,
                "crun",
                format!("{} {} is built without WasmEdge", crun.path.display(), crun.version),
                APPLY,
            ),
        },
    }
    match &facts.engine {
        Some(engine) => report.ok("engine", engine.path.display().to_string()),
        None => {
            report.add(Severity::Error, "engine", format!("{} is nowhere", spec::ENGINE_LIBRARY), APPLY);
        }
    }
    match &facts.containerd {
        Some(containerd) => report.ok("containerd", format!("version {}", containerd.version)),
        None => {
            report.add(Severity::Error, "containerd", "containerd cannot be asked for its version", APPLY)
        }
    }
}

/// What the files say.
fn configuration(facts: &Facts, options: &Options, tree: &Tree, report: &mut Report) {
    const CHECK: &str = "configuration";
    match plan(facts, options) {
        Err(refusal) => {
            let mut why = refusal.to_string();
            if let Some(source) = std::error::Error::source(&refusal) {
                why = format!("{why}: {source}");
            }
            report.add(Severity::Error, CHECK, why, "as it says");
        }
        Ok(plan) => {
            if plan.writes().next().is_some() {
                report.add(
                    Severity::Error,
                    CHECK,
                    "files are not as they should be: `wasm-node plan` shows which",
                    APPLY,
                );
            } else if !plan.installs() {
                report.ok(CHECK, format!("{} is crun with WasmEdge", options.handler));
            }
            for note in plan.notes {
                // A note is a warning where it speaks of two that should agree.
                if note.contains("cgroup driver") {
                    report.add(
                        Severity::Warning,
                        "cgroup-driver",
                        note,
                        "let runc's table say what the kubelet does",
                    );
                } else {
                    report.ok(CHECK, note);
                }
            }
            let base = Path::new(&plan.wanted.base_runtime_spec);
            let annotated =
                tree.read(base).ok().flatten().is_some_and(|bytes| base_spec::has_annotation(&bytes));
            if !plan.wanted.base_runtime_spec.is_empty() && !annotated {
                let text = format!(
                    "{} does not have {}={}",
                    base.display(),
                    spec::VARIANT_ANNOTATION,
                    spec::VARIANT
                );
                report.add(Severity::Error, "base-spec", text, APPLY);
            }
        }
    }
    for file in &facts.config {
        let runtimes = file.document.as_ref().map(crate::config::Document::runtimes).unwrap_or_default();
        for (name, table) in runtimes {
            // `*` alone, and what begins like crun's own settings.
            let hooks =
                |word: &&String| word.starts_with("run.oci") || *word == "*" || word.starts_with("*.");
            if let Some(word) = table.runtime.pod_annotations.iter().find(hooks) {
                report.add(
                    Severity::Warning,
                    "annotations",
                    format!("{}: the runtime {name} hands {word:?} on, by which any pod can run hooks as root on the node", file.path.display()),
                    "take it out of pod_annotations",
                );
            }
        }
    }
}

/// What containerd has loaded.
fn live(facts: &Facts, options: &Options, report: &mut Report) {
    const CHECK: &str = "cri";
    let state = match &facts.cri {
        Live::Folder => return,
        Live::Down(why) => {
            report.add(
                Severity::Error,
                CHECK,
                why,
                "start containerd, and read its log where it does not start",
            );
            return;
        }
        Live::Up(state) => state,
    };
    if state.runtime_ready {
        report.ok(CHECK, format!("{} is ready", state.version));
    } else {
        report.add(
            Severity::Error,
            CHECK,
            format!("{} is not ready", state.version),
            "read containerd's log",
        );
    }
    if state.runtimes.contains_key(options.handler.as_str()) {
        report.ok("runtime", format!("containerd has loaded {}", options.handler));
    } else {
        let text = format!("containerd runs without {}: no runtime for it is configured", options.handler);
        report.add(Severity::Error, "runtime", text, format!("{APPLY}, or restart containerd"));
    }
    if !state.network_ready {
        report.add(
            Severity::Warning,
            "pod-network",
            "the pod network is not ready",
            "install a CNI plug-in (Debian keeps plug-ins in /usr/lib/cni, most others in /opt/cni/bin: bin_dir must say which) and its configuration in /etc/cni/net.d",
        );
    }
    if facts.kernel.may_lower_oom_score == Some(false) && !state.restrict_oom_score_adj {
        report.add(
            Severity::Error,
            "oom-score",
            "this machine lacks CAP_SYS_RESOURCE, and containerd lowers the OOM score of every sandbox",
            "set restrict_oom_score_adj = true in containerd's CRI table, and restart it",
        );
    }
}

fn kernel(facts: &Facts, report: &mut Report) {
    if facts.kernel.hybrid_cgroups {
        report.add(
            Severity::Error,
            "cgroups",
            "cgroup v1 and v2 are mounted at once, which crun refuses",
            "boot with systemd.unified_cgroup_hierarchy=1",
        );
    }
    let Some(kubelet) = &facts.kubelet else { return };
    if facts.kernel.swap && kubelet.fails_on_swap {
        report.add(
            Severity::Warning,
            "swap",
            "there is swap, and the kubelet refuses to start with it",
            "failSwapOn: false in the kubelet's configuration, or take swap out of /etc/fstab",
        );
    }
    if !facts.kernel.modules_lacking.is_empty() || !facts.kernel.settings_lacking.is_empty() {
        let lacking = [facts.kernel.modules_lacking.as_slice(), &facts.kernel.settings_lacking].concat();
        let ours =
            [spec::MODULES_FILE, spec::SYSCTL_FILE].map(|path| facts.files.contains_key(Path::new(path)));
        if ours == [false, false] {
            let text = format!("not made at boot: {}", lacking.join(", "));
            report.add(Severity::Warning, "kernel", text, APPLY);
        }
    }
}

fn open_yurt(facts: &Facts, options: &Options, tree: &Tree, report: &mut Report) {
    const CHECK: &str = "openyurt";
    let Some(yurt) = &facts.openyurt else { return };
    if yurt.caches_runtime_class {
        report.ok(CHECK, format!("yurthub has the RuntimeClass {} cached", options.handler));
    } else {
        report.add(
            Severity::Warning,
            CHECK,
            format!("yurthub's cache lacks the RuntimeClass {}: wasm pods do not start again while the API server is away", options.handler),
            "apply the RuntimeClass, and restart the kubelet once while the API server can be reached",
        );
    }
    if !yurt.watch_list_off {
        report.add(
            Severity::Warning,
            CHECK,
            "the kubelet's feature gate WatchListClient may be on: restarted offline, it may see nothing of yurthub's cache",
            format!("set {}=false in the kubelet's environment, and restart it", spec::WATCH_LIST_CLIENT),
        );
    }
    if !yurt.autonomy {
        report.add(
            Severity::Warning,
            CHECK,
            "the cached node says nothing of autonomy: its pods are evicted when it is away for long",
            format!("kubectl annotate node NAME {}=24h (0 for ever)", spec::AUTONOMY_ANNOTATION),
        );
    }
    let has_plug_ins = |folder: &&str| tree.exists(&Path::new(folder).join("loopback"));
    if !["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"].iter().any(has_plug_ins) {
        report.add(
            Severity::Warning,
            CHECK,
            "no CNI plug-ins are where they are looked for",
            "apt-get install containernetworking-plugins, and link /opt/cni/bin to /usr/lib/cni",
        );
    }
}
