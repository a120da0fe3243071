//! Puts back what was there: the same bytes where nobody changed them since, otherwise everything but what is ours.

use std::io;
use std::path::{Path, PathBuf};

use crate::apply::{sweep, without_block};
use crate::config::split;
use crate::cri::CriState;
use crate::facts::{DetectError, Facts, Live, Restart, detect, dump};
use crate::invocation::Invocation;
use crate::options::Options;
use crate::record::{Phase, Record, RecordError, Written, digest};
use crate::restart;
use crate::spec;
use crate::system::{Attributes, System, trial_name};

/// What is done to a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The bytes of before.
    Restored,
    /// There was none before.
    Removed,
    /// Somebody changed it since: only our block goes.
    BlockTakenOut,
    /// All of it was ours, and somebody changed it since: it stays.
    Kept,
}

/// A file, and what is done to it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Removal {
    /// The file.
    pub path: PathBuf,
    /// What becomes of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    #[serde(skip)]
    new: Option<(Vec<u8>, Attributes)>,
}

/// What `uninstall` did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Uninstalled {
    /// The files.
    pub files: Vec<Removal>,
    /// Packages that were installed, and stay.
    pub packages: Vec<String>,
    /// Whether containerd is to be restarted by a person.
    pub restart_due: bool,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// What is so cannot be found out.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// What is remembered.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Another one is at work.
    #[error("another wasm-node is at work here: wait for its end")]
    Locked,
    /// A file.
    #[error("cannot change {path}; run this again to finish")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// containerd is worse off.
    #[error("containerd is worse off without the runtime: {0}; look at its log, and run this again")]
    Worse(String),
    /// It would be.
    #[error("containerd would not take its configuration without the runtime: {0}; nothing was changed")]
    Rejected(String),
}

/// What would be done.
///
/// # Errors
/// Where that cannot be found out.
pub fn plan_removal(system: &dyn System, options: &Options) -> Result<Uninstalled, UninstallError> {
    let facts = detect(system, options)?;
    let record = Record::load(system.tree())?.unwrap_or_default();
    removals(system, options, &facts, &record)
}

/// Does it. `say` is told each step.
///
/// # Errors
/// Where it cannot be done; run again, it finishes.
pub fn uninstall(
    system: &dyn System,
    options: &Options,
    say: &mut dyn FnMut(&str),
) -> Result<Uninstalled, UninstallError> {
    let tree = system.tree();
    let folder = Path::new(spec::STATE_DIR);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| UninstallError::Write { path, source }
    };
    let lock = if tree.exists(folder) {
        Some(tree.lock(folder).map_err(at(folder))?.ok_or(UninstallError::Locked)?)
    } else {
        None
    };
    let facts = detect(system, options)?;
    let loaded = Record::load(tree)?;
    let mut record = loaded.clone().unwrap_or_default();
    let mut done = removals(system, options, &facts, &record)?;
    let before = record
        .before
        .clone()
        .filter(|_| record.phase == Phase::Removing)
        .or_else(|| facts.cri.state().cloned());
    if loaded.is_some() {
        record.phase = Phase::Removing;
        record.before = before.clone();
        record.save(tree)?;
    }
    if let Err(error) = validate(system, options, &facts, &done) {
        // Nothing was removed.
        loaded.map_or(Ok(()), |loaded| loaded.save(tree))?;
        return Err(error);
    }
    for removal in &done.files {
        say(&removal.to_string());
        match (&removal.outcome, &removal.new) {
            (Outcome::Kept, _) => Ok(()),
            (_, Some((bytes, attributes))) => tree.write(&removal.path, bytes, *attributes),
            (_, None) => tree.remove(&removal.path),
        }
        .map_err(at(&removal.path))?;
    }
    if record.files.contains_key(Path::new(spec::APT_PIN)) {
        // Without the pin an upgrade may do as it likes again.
        let _ = system.run(&Invocation::look("apt-mark", &["unhold", "crun"]));
    }
    let still = facts.cri.state().is_some_and(|state| state.runtimes.contains_key(options.handler.as_str()));
    let changed = done.files.iter().any(|removal| removal.outcome != Outcome::Kept);
    // A run of before may have put the files back, and was ended before this.
    if facts.live && (changed || still) {
        if facts.layout.restart == Restart::Person {
            done.restart_due = true;
        } else {
            say("restart containerd");
            restart::restart(system, &facts.layout.restart)
                .and_then(|()| judge(system, options, &facts, before))
                .map_err(UninstallError::Worse)?;
        }
    }
    sweep(system, &facts, options).map_err(|(path, source)| UninstallError::Write { path, source })?;
    if tree.exists(folder) {
        Record::forget(tree)?;
    }
    drop(lock);
    Ok(done)
}

fn judge(
    system: &dyn System,
    options: &Options,
    facts: &Facts,
    before: Option<CriState>,
) -> Result<(), String> {
    if let (None, Live::Down(_)) = (&before, &facts.cri) {
        // It was down, and whether it is up now is its own business.
        return Ok(());
    }
    let before = before.map(|mut before| {
        before.runtimes.remove(options.handler.as_str());
        before
    });
    restart::judge(system, &facts.layout.socket, before.as_ref(), None)
}

/// Each file that is ours or has our block, the configuration first: it must not name what is gone.
fn removals(
    system: &dyn System,
    options: &Options,
    facts: &Facts,
    record: &Record,
) -> Result<Uninstalled, UninstallError> {
    let tree = system.tree();
    let mut files = Vec::new();
    let mut paths: Vec<PathBuf> = record.files.keys().cloned().collect();
    // What nothing is remembered of may have our block all the same.
    paths.extend(facts.files.keys().filter(|path| !record.files.contains_key(*path)).cloned());
    for path in paths {
        let read = |source| UninstallError::Write { path: path.clone(), source };
        let Some(bytes) = tree.read(&path).map_err(read)? else { continue };
        let attributes = tree.attributes(&path).map_err(read)?.unwrap_or_default();
        let known = record.files.get(&path);
        if let Some((outcome, new)) = removal(system, options, known, &bytes, attributes)? {
            files.push(Removal { path, outcome, new });
        }
    }
    files.sort_by_key(|removal| removal.path.extension().is_none_or(|end| end != "toml" && end != "tmpl"));
    Ok(Uninstalled { files, packages: record.packages.clone(), restart_due: false })
}

type New = Option<(Vec<u8>, Attributes)>;

fn removal(
    system: &dyn System,
    options: &Options,
    known: Option<&Written>,
    bytes: &[u8],
    attributes: Attributes,
) -> Result<Option<(Outcome, New)>, UninstallError> {
    let now = digest(bytes);
    let has_block = std::str::from_utf8(bytes).is_ok_and(|text| split(text, &options.handler).1.is_some());
    let Some(known) = known else {
        let without = without_block(bytes, &options.handler);
        let new = (!without.is_empty()).then_some((without, attributes));
        return Ok(has_block.then_some((Outcome::BlockTakenOut, new)));
    };
    Ok(match &known.original {
        // An earlier run did it already.
        Some(original) if now == original.digest => None,
        Some(original) if now == known.digest => {
            let bytes = Record::kept(system.tree(), original)?;
            Some((Outcome::Restored, Some((bytes, original.attributes))))
        }
        None if now == known.digest => Some((Outcome::Removed, None)),
        _ if has_block => {
            let without = without_block(bytes, &options.handler);
            Some((Outcome::BlockTakenOut, Some((without, attributes))))
        }
        _ if known.share == crate::plan::Share::Whole => Some((Outcome::Kept, None)),
        // Somebody took our block out already.
        _ => None,
    })
}

/// Has containerd read its configuration without the runtime before that takes its place.
fn validate(
    system: &dyn System,
    options: &Options,
    facts: &Facts,
    done: &Uninstalled,
) -> Result<(), UninstallError> {
    let main = done.files.iter().find(|removal| removal.path == facts.layout.config);
    let (Some(Removal { new: Some((bytes, attributes)), path, .. }), Some(before)) = (main, &facts.effective)
    else {
        return Ok(());
    };
    let candidate = trial_name(path);
    let at = |source| UninstallError::Write { path: candidate.clone(), source };
    system.tree().write(&candidate, bytes, *attributes).map_err(at)?;
    let after = dump(system, &facts.layout, &candidate);
    system.tree().remove(&candidate).map_err(at)?;
    match after {
        None => Ok(()),
        Some(Err(why)) => Err(UninstallError::Rejected(why)),
        Some(Ok(after)) => match before.difference(&after, options.handler.as_str()) {
            None => Ok(()),
            Some(difference) => Err(UninstallError::Rejected(format!("{difference} would be another"))),
        },
    }
}

impl std::fmt::Display for Removal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        match self.outcome {
            Outcome::Restored => write!(f, "{path}: back to what was there, byte for byte"),
            Outcome::Removed => write!(f, "{path}: removed, for there was none"),
            Outcome::BlockTakenOut => {
                write!(f, "{path}: only our block was taken out, for the rest was changed since")
            }
            Outcome::Kept => {
                write!(f, "{path}: kept, for somebody changed it since; nothing uses it any more")
            }
        }
    }
}
