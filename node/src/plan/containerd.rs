//! The runtime's table in containerd's configuration: which file has it, and what it says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Action, Refusal, Share, Step, Write, base_spec};
use crate::config::{Block, ConfigVersion, Document, RuntimeTable, render_runtime, split};
use crate::cri::LiveRuntime;
use crate::facts::{CgroupDriver, ConfigFile, Edit, Facts, Kind};
use crate::options::Options;
use crate::spec;

/// The name of our drop-ins.
const DROP_IN: &str = "wasm-node.toml";
/// What k3s puts its own configuration in the place of.
/// <https://docs.k3s.io/advanced#configuring-containerd>
const K3S_BASE: &str = "{{ template \"base\" . }}\n";
/// Where crun will be, where it is not there yet.
const CRUN: &str = "/usr/bin/crun";

/// What becomes of the configuration.
pub(super) struct Change {
    /// The file that is ours to change; none where a person's own table does.
    pub edit: Option<Edit>,
    /// What containerd has in the end.
    pub runtime: LiveRuntime,
    /// Nothing where all is well already.
    pub step: Option<Step>,
}

/// Which file is changed.
pub(super) fn edit(facts: &Facts) -> Edit {
    let main = facts.config.first();
    let document = main.and_then(|file| file.document.as_ref());
    let merges = facts.containerd.as_ref().is_some_and(|containerd| containerd.version.major >= 2)
        || document.and_then(Document::version).is_some_and(|version| version > ConfigVersion::TWO);
    let drop_in = merges.then(|| imported_folder(&facts.layout.config, document)).flatten();
    let drop_in = drop_in.map(|folder| folder.join(DROP_IN));
    match facts.layout.kind {
        Kind::K3s | Kind::Rke2 => drop_in.map_or_else(
            || {
                let name = if version(facts) > ConfigVersion::TWO {
                    "config-v3.toml.tmpl"
                } else {
                    "config.toml.tmpl"
                };
                Edit::Template(facts.layout.folder.join(name))
            },
            Edit::DropIn,
        ),
        Kind::MicroK8s => Edit::Main(facts.layout.config.clone()),
        Kind::Plain => {
            let nothing = main.is_none_or(|file| file.bytes.is_none());
            if let Some(path) = drop_in {
                Edit::DropIn(path)
            } else if nothing
                && facts.containerd.as_ref().is_some_and(super::super::facts::Containerd::imports_by_itself)
            {
                Edit::DropIn(Path::new(spec::CONTAINERD_DROP_INS).join(DROP_IN))
            } else {
                // With containerd 1.x the last file that has a CRI table is the one that counts: it replaces the others'.
                let counts = |file: &&ConfigFile| file.document.as_ref().is_some_and(Document::has_cri);
                let last = facts.config.iter().rev().find(counts).map(|file| file.path.clone());
                Edit::Main(last.unwrap_or_else(|| facts.layout.config.clone()))
            }
        }
    }
}

pub(super) fn change(facts: &Facts, options: &Options, notes: &mut Vec<String>) -> Result<Change, Refusal> {
    for file in &facts.config {
        let Some(document) = &file.document else { continue };
        document.check_cri().map_err(|source| Refusal::Config { path: file.path.clone(), source })?;
    }
    if let Some((path, runtime)) = hand_made(facts, options) {
        usable(facts, &runtime).map_err(|why| Refusal::HandlerTaken {
            path: path.clone(),
            handler: options.handler.clone(),
            why,
        })?;
        notes.push(format!(
            "{} has a runtime {} already: it is left as it is",
            path.display(),
            options.handler
        ));
        return Ok(Change { edit: None, runtime, step: None });
    }
    let edit = edit(facts);
    let (Edit::Main(path) | Edit::DropIn(path) | Edit::Template(path)) = &edit;
    let old = facts.files.get(path).map(|old| old.bytes.as_slice());
    let refuse = |source| Refusal::Config { path: path.clone(), source };
    let old_text = std::str::from_utf8(old.unwrap_or_default())
        .map_err(|_| refuse(crate::config::ConfigError::NotText))?;
    let (without, block) = split(old_text, &options.handler);

    // A template is no TOML: a table of that name in it is known by its head.
    let heads = [format!("runtimes.{}]", options.handler), format!("runtimes.\"{}\"]", options.handler)];
    if matches!(edit, Edit::Template(_)) && heads.iter().any(|head| without.contains(head)) {
        notes.push(format!(
            "{} has a runtime {} already: it is left as it is",
            path.display(),
            options.handler
        ));
        let made = facts.config.first().and_then(|file| file.document.as_ref()).map(Document::runtimes);
        let made = made.and_then(|mut of| of.remove(options.handler.as_str())).unwrap_or_default();
        return Ok(Change { edit: None, runtime: made.runtime, step: None });
    }
    let binary = facts.crun.as_ref().map_or(CRUN, |crun| crun.path.to_str().unwrap_or(CRUN));
    let base = base_spec::path(facts, &options.handler);
    let table = RuntimeTable::crun(binary, &base.to_string_lossy(), systemd_cgroup(facts, notes));
    let mut tables = match &edit {
        Edit::Main(_) => implicit(facts, &without, options),
        // These are merged into what there is.
        Edit::DropIn(_) | Edit::Template(_) => BTreeMap::new(),
    };
    let runtime = table.runtime.clone();
    tables.insert(options.handler.as_str().to_owned(), table);

    let mut version = version(facts);
    let mut content = String::new();
    if matches!(edit, Edit::Main(_) | Edit::DropIn(_)) {
        let document = Document::parse(without.as_bytes()).map_err(refuse)?;
        match document.version() {
            Some(of_file) => version = of_file,
            None => content = format!("version = {}\n", version.number()),
        }
        document.check_open(version).map_err(refuse)?;
    }
    let rendered: Vec<String> =
        tables.iter().map(|(name, table)| render_runtime(name, table, version)).collect();
    content.push_str(&rendered.join("\n"));
    let unchanged = block.is_some_and(|block| block.content == content);
    let above = if matches!(edit, Edit::Template(_)) && without.is_empty() { K3S_BASE } else { &without };
    let new = Block { content }.append_to(above, &options.handler);
    if matches!(edit, Edit::Main(_) | Edit::DropIn(_)) {
        Document::parse(new.as_bytes()).map_err(refuse)?;
    }
    let step = (!unchanged).then(|| {
        let share = if matches!(edit, Edit::DropIn(_)) { Share::Whole } else { Share::Block };
        let kept: Vec<&str> =
            tables.keys().map(String::as_str).filter(|name| *name != options.handler.as_str()).collect();
        let also = match kept.as_slice() {
            [] => String::new(),
            kept => format!(
                "; {} is said, too, for a file that declares one runtime drops those that it does not",
                kept.join(", ")
            ),
        };
        let reason = format!("the runtime {} is crun with WasmEdge{also}", options.handler);
        Step { action: Action::Write(Write::new(facts, path, new.into_bytes(), share)), reason }
    });
    Ok(Change { edit: Some(edit), runtime, step })
}

/// The folder of drop-ins that a configuration imports.
fn imported_folder(main: &Path, document: Option<&Document>) -> Option<PathBuf> {
    let fits = |pattern: &String| Path::new(pattern).file_name().is_some_and(|name| name == "*.toml");
    let pattern = document?.imports().into_iter().find(fits)?;
    main.parent()?.join(pattern).parent().map(Path::to_owned)
}

/// The form in which tables are written.
fn version(facts: &Facts) -> ConfigVersion {
    let file = facts.config.first().and_then(|file| file.document.as_ref()?.version());
    let newer = facts.containerd.as_ref().is_some_and(|containerd| containerd.version.major >= 2);
    file.unwrap_or(if newer { ConfigVersion::THREE } else { ConfigVersion::TWO })
}

/// A table of our runtime's name that a person wrote.
fn hand_made(facts: &Facts, options: &Options) -> Option<(PathBuf, LiveRuntime)> {
    // What k3s makes from our template, or imports from our drop-in, is ours.
    let made_anew = matches!(facts.layout.kind, Kind::K3s | Kind::Rke2);
    let files = facts.config.iter().skip(usize::from(made_anew));
    files.rev().find_map(|file| {
        let text = String::from_utf8_lossy(file.bytes.as_deref()?);
        let (without, _) = split(&text, &options.handler);
        // A block of ours may be all that gives an otherwise empty file its version.
        let mut runtimes = Document::parse(without.as_bytes()).ok()?.runtimes();
        Some((file.path.clone(), runtimes.remove(options.handler.as_str())?.runtime))
    })
}

/// Whether a person's own table would run wasm.
fn usable(facts: &Facts, runtime: &LiveRuntime) -> Result<(), String> {
    let program = Path::new(&runtime.binary).file_name().unwrap_or_default();
    if !program.to_string_lossy().starts_with("crun") {
        return Err(format!("its BinaryName is {:?}", runtime.binary));
    }
    let annotated = runtime.pod_annotations.iter().any(|word| word.starts_with("module.wasm.image/"));
    if runtime.base_runtime_spec.is_empty() && !annotated && program != "crun-wasm" {
        return Err("neither base_runtime_spec nor pod_annotations tell crun what is WebAssembly".to_owned());
    }
    let driver = facts.kubelet.as_ref().and_then(|kubelet| kubelet.driver);
    match driver {
        Some(driver) if (driver == CgroupDriver::Systemd) != runtime.systemd_cgroup => {
            Err(format!("its SystemdCgroup is {}, unlike the kubelet's driver", runtime.systemd_cgroup))
        }
        _ => Ok(()),
    }
}

/// The runtimes that containerd has without their being declared, and would lose by the first that is.
fn implicit(facts: &Facts, without: &str, options: &Options) -> BTreeMap<String, RuntimeTable> {
    let declared =
        Document::parse(without.as_bytes()).map(|document| document.runtimes()).unwrap_or_default();
    let others = facts.config.iter().filter_map(|file| file.document.as_ref()).map(Document::runtimes);
    match &facts.effective {
        Some(effective) => {
            let mut all = effective.runtimes();
            all.retain(|name, _| !declared.contains_key(name) && name != options.handler.as_str());
            all
        }
        None if declared.is_empty()
            && others.flatten().all(|(name, _)| name == "runc" || name == options.handler.as_str()) =>
        {
            [("runc".to_owned(), RuntimeTable::implicit_runc())].into()
        }
        None => BTreeMap::new(),
    }
}

/// Who makes our containers' cgroups: the kubelet says so, else the runtime that is there does.
fn systemd_cgroup(facts: &Facts, notes: &mut Vec<String>) -> bool {
    let from_files = || facts.config.iter().filter_map(|file| file.document.as_ref()).map(Document::runtimes);
    let runtimes = facts
        .effective
        .as_ref()
        .map(crate::config::Effective::runtimes)
        .or_else(|| from_files().find(|of| of.contains_key("runc")));
    let runc = runtimes.and_then(|mut of| of.remove("runc")).map(|table| table.runtime.systemd_cgroup);
    let kubelet = facts
        .kubelet
        .as_ref()
        .and_then(|kubelet| kubelet.driver)
        .map(|driver| driver == CgroupDriver::Systemd);
    if let (Some(kubelet), Some(runc)) = (kubelet, runc)
        && kubelet != runc
    {
        let name = |systemd| if systemd { "systemd" } else { "cgroupfs" };
        notes.push(format!(
            "the kubelet's cgroup driver is {}, runc's {}: the new runtime follows the kubelet; set runc's SystemdCgroup to {kubelet}",
            name(kubelet),
            name(runc)
        ));
    }
    // k3s and RKE2 have the kubelet within, and systemd's driver where there is systemd.
    let rancher = matches!(facts.layout.kind, Kind::K3s | Kind::Rke2);
    kubelet.or(runc).unwrap_or(rancher && matches!(facts.layout.restart, crate::facts::Restart::Unit(_)))
}
