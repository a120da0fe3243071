//! Carries a plan out, so that it may be ended at any point: run again, it finishes.
//!
//! Each file changes by one rename. The base spec is there before the configuration names it; the configuration is
//! read by containerd itself before it takes its place; and where containerd is worse off after its restart than
//! before, everything is put back.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::config::split;
use crate::facts::{DetectError, Edit, Facts, Restart, detect, dump};
use crate::handler::HandlerName;
use crate::options::Options;
use crate::plan::{Action, Plan, Refusal, Share, Write, candidates, plan};
use crate::record::{Phase, Record, RecordError, Written, digest};
use crate::restart;
use crate::spec;
use crate::system::{System, trial_name};

/// The most times that packages are installed: the distribution's, and where its crun has no engine, Debian 13's.
const MAX_ROUNDS: usize = 6;

/// How an `apply` ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applied {
    /// There was nothing to do.
    Unchanged,
    /// The node is prepared.
    Done,
    /// It is prepared but for a restart of containerd, which is a person's to do.
    RestartDue,
}

/// Why a node was not prepared.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// What is so cannot be found out.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// It cannot be prepared as it is.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What is remembered.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Another one is at work.
    #[error("another wasm-node is at work here: wait for its end")]
    Locked,
    /// A file.
    #[error("cannot write {path}; what was written before was put back")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The state folder.
    #[error("cannot use {path}; nothing was changed")]
    State {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A package manager.
    #[error("`{command}` failed: {why}")]
    Command {
        /// The command.
        command: String,
        /// What it said.
        why: String,
    },
    /// Packages are there, and it is not enough.
    #[error("installed what is missing {MAX_ROUNDS} times, and it is missing still: see `wasm-node plan`")]
    StillMissing,
    /// containerd reads something else than what is meant.
    #[error("containerd would not take the new configuration: {0}; nothing was changed")]
    Rejected(String),
    /// containerd is worse off.
    #[error("containerd is worse off than before: {why}; everything was put back, and {then}")]
    Worse {
        /// What is wrong.
        why: String,
        /// What became of it.
        then: String,
    },
    /// Putting back failed, too.
    #[error("{why}; and putting back failed: {undo}; the copies are in {dir}, run `wasm-node apply` again", dir = spec::STATE_DIR)]
    Stuck {
        /// What was wrong at first.
        why: String,
        /// What was wrong then.
        undo: String,
    },
}

/// Prepares the node. `say` is told each step.
///
/// # Errors
/// Where it cannot be; it is as before then, unless the error says otherwise.
pub fn apply(
    system: &dyn System,
    options: &Options,
    say: &mut dyn FnMut(&str),
) -> Result<Applied, ApplyError> {
    let tree = system.tree();
    let mut lock = None;
    let mut installed = false;
    for _ in 0..MAX_ROUNDS {
        let facts = detect(system, options)?;
        let plan = plan(&facts, options)?;
        let record = Record::load(tree)?;
        let unfinished =
            record.as_ref().is_some_and(|record| record.phase != Phase::Applied || record.restart_due)
                || tree.left(Path::new(spec::STATE_DIR)).is_ok_and(|names| !names.is_empty());
        if plan.is_empty() && !unfinished {
            return Ok(if installed { Applied::Done } else { Applied::Unchanged });
        }
        if lock.is_none() {
            lock = Some(take_lock(system)?);
            // Somebody else may just have done it.
            continue;
        }
        let mut run = Run { system, options, facts: &facts, record: record.unwrap_or_default(), say };
        if plan.installs() {
            run.install(&plan)?;
            installed = true;
            continue;
        }
        return run.carry_out(&plan);
    }
    Err(ApplyError::StillMissing)
}

fn take_lock(system: &dyn System) -> Result<OwnedFd, ApplyError> {
    let path = Path::new(spec::STATE_DIR);
    let state = |source| ApplyError::State { path: path.to_owned(), source };
    system.tree().make_folder(path).map_err(state)?;
    system.tree().lock(path).map_err(state)?.ok_or(ApplyError::Locked)
}

struct Run<'a> {
    system: &'a dyn System,
    options: &'a Options,
    facts: &'a Facts,
    record: Record,
    say: &'a mut dyn FnMut(&str),
}

impl Run<'_> {
    fn install(&mut self, plan: &Plan) -> Result<(), ApplyError> {
        for step in &plan.steps {
            let Action::Install { writes, commands, packages } = &step.action else { continue };
            let writes: Vec<&Write> = writes.iter().collect();
            // Before they are there: nobody could say later who brought them.
            self.record.packages.extend(packages.iter().cloned());
            self.record.packages.sort();
            self.record.packages.dedup();
            self.begin(&writes, false)?;
            self.write(&writes)?;
            for command in commands {
                (self.say)(&command.to_string());
                let why = match self.system.run(command) {
                    Ok(ran) if ran.succeeded() => continue,
                    Ok(ran) => ran.complaint(),
                    Err(error) => error.to_string(),
                };
                return Err(ApplyError::Command { command: command.to_string(), why });
            }
        }
        Ok(())
    }

    fn carry_out(mut self, plan: &Plan) -> Result<Applied, ApplyError> {
        let tree = self.system.tree();
        let previous = Record::load(tree)?;
        let writes: Vec<&Write> = plan.writes().collect();
        self.validate(plan)?;
        let planned = plan.steps.iter().any(|step| matches!(step.action, Action::Restart(_)));
        // A run that was ended after its writes still owes the restart. What runs is then not what the files say, even
        // where both look alike: a base spec is read once.
        let restarts =
            planned || (self.record.restart_due && self.facts.live && self.record.phase == Phase::Applying);
        self.begin(&writes, restarts)?;
        self.write(&writes).or_else(|error| self.undo_record(previous.as_ref(), error))?;
        if let Some(Edit::DropIn(_)) = &plan.edit
            && let Some(why) = self.rejection(&self.facts.layout.config.clone())
        {
            self.put_back(&writes).map_err(|undo| ApplyError::Stuck { why: why.clone(), undo })?;
            return self.undo_record(previous.as_ref(), ApplyError::Rejected(why)).map(|()| Applied::Done);
        }
        for step in &plan.steps {
            let Action::Try(command) = &step.action else { continue };
            (self.say)(&command.to_string());
            let failure = match self.system.run(command) {
                Ok(ran) if ran.succeeded() => None,
                Ok(ran) => Some(ran.complaint()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = failure {
                (self.say)(&format!("warning: {command}: {why}"));
            }
        }
        let mut applied = Applied::Done;
        if restarts && self.facts.live {
            match &self.facts.layout.restart {
                Restart::Person => applied = Applied::RestartDue,
                how => {
                    let how = how.clone();
                    self.restart(&how, plan, &writes, previous.as_ref())?;
                }
            }
        }
        sweep(self.system, self.facts, self.options)
            .map_err(|(path, source)| ApplyError::State { path, source })?;
        self.record.phase = Phase::Applied;
        self.record.restart_due = applied == Applied::RestartDue;
        self.record.before = None;
        self.record.save(tree)?;
        self.record.tidy(tree)?;
        Ok(applied)
    }

    /// Has containerd read the new configuration before it takes the old one's place.
    fn validate(&mut self, plan: &Plan) -> Result<(), ApplyError> {
        let Some(Edit::Main(path)) = &plan.edit else { return Ok(()) };
        let Some(write) = plan.writes().find(|write| write.path == *path) else { return Ok(()) };
        // Only the main file can be tried under another name; what it imports is tried when it is there.
        if self.facts.layout.containerd.is_none() || *path != self.facts.layout.config {
            return Ok(());
        }
        // Beside it, for imports may be relative; under a name that no import's pattern has.
        let candidate = trial_name(path);
        let tree = self.system.tree();
        let state = |source| ApplyError::State { path: candidate.clone(), source };
        tree.write(&candidate, &write.new, write.attributes()).map_err(state)?;
        let rejection = self.rejection(&candidate);
        tree.remove(&candidate).map_err(state)?;
        rejection.map_or(Ok(()), |why| Err(ApplyError::Rejected(why)))
    }

    /// What containerd would make of a configuration that it should not; nothing where it cannot be asked.
    fn rejection(&self, config: &Path) -> Option<String> {
        let after = match dump(self.system, &self.facts.layout, config)? {
            Ok(after) => after,
            Err(why) => return Some(why),
        };
        let handler = self.options.handler.as_str();
        if !after.runtimes().contains_key(handler) {
            return Some(format!("it does not see the runtime {handler}"));
        }
        let difference = self.facts.effective.as_ref()?.difference(&after, handler)?;
        Some(format!("{difference} would be another"))
    }

    /// Remembers, before anything changes, what is there and what is about to be.
    fn begin(&mut self, writes: &[&Write], restarts: bool) -> Result<(), ApplyError> {
        let tree = self.system.tree();
        for write in writes {
            let known = self.record.files.get(&write.path);
            let original = match (&write.old, write.share, known) {
                // All of it is ours, and was before.
                (_, Share::Whole, Some(known)) => known.original.clone(),
                (None, ..) => None,
                (Some(old), share, known) => {
                    let bytes = match share {
                        Share::Whole => old.bytes.clone(),
                        Share::Block => without_block(&old.bytes, &self.options.handler),
                    };
                    let ours = known.is_some_and(|known| known.original.is_none() && bytes.is_empty());
                    if ours { None } else { Some(Record::keep(tree, &bytes, old.attributes)?) }
                }
            };
            let written = Written { share: write.share, original, digest: digest(&write.new) };
            self.record.files.insert(write.path.clone(), written);
        }
        if self.record.phase != Phase::Applying || self.record.before.is_none() {
            self.record.before = self.facts.cri.state().cloned();
        }
        self.record.phase = Phase::Applying;
        self.record.restart_due |= restarts;
        Ok(self.record.save(tree)?)
    }

    /// Writes the files in order; where one cannot be written, those before it are put back.
    fn write(&mut self, writes: &[&Write]) -> Result<(), ApplyError> {
        for (done, write) in writes.iter().enumerate() {
            (self.say)(&format!("write {}", write.path.display()));
            if let Err(source) = self.system.tree().write(&write.path, &write.new, write.attributes()) {
                let why = format!("cannot write {}: {source}", write.path.display());
                self.put_back(&writes[..done]).map_err(|undo| ApplyError::Stuck { why, undo })?;
                return Err(ApplyError::Write { path: write.path.clone(), source });
            }
        }
        Ok(())
    }

    /// The last one first, so that the configuration never names what is not there.
    fn put_back(&self, writes: &[&Write]) -> Result<(), String> {
        let tree = self.system.tree();
        writes.iter().rev().try_for_each(|write| {
            match &write.old {
                Some(old) => tree.write(&write.path, &old.bytes, old.attributes),
                None => tree.remove(&write.path),
            }
            .map_err(|error| format!("{}: {error}", write.path.display()))
        })
    }

    /// Remembers what was remembered before this run, and gives the error on.
    fn undo_record(&self, previous: Option<&Record>, error: ApplyError) -> Result<(), ApplyError> {
        let tree = self.system.tree();
        let undone = match previous {
            Some(previous) => previous.save(tree),
            None => Record::forget(tree),
        };
        match undone {
            Ok(()) => Err(error),
            Err(undo) => Err(ApplyError::Stuck { why: error.to_string(), undo: undo.to_string() }),
        }
    }

    fn restart(
        &mut self,
        how: &Restart,
        plan: &Plan,
        writes: &[&Write],
        previous: Option<&Record>,
    ) -> Result<(), ApplyError> {
        (self.say)("restart containerd");
        let socket = &self.facts.layout.socket;
        let wanted = (&self.options.handler, &plan.wanted);
        let before = self.record.before.as_ref();
        let Err(why) = restart::restart(self.system, how)
            .and_then(|()| restart::judge(self.system, socket, before, Some(wanted)))
        else {
            return Ok(());
        };
        (self.say)("put everything back: containerd is worse off");
        let stuck = |undo| ApplyError::Stuck { why: why.clone(), undo };
        self.put_back(writes).map_err(stuck)?;
        let then = match restart::restart(self.system, how)
            .and_then(|()| restart::judge(self.system, socket, before, None))
        {
            Ok(()) => "it is as before".to_owned(),
            Err(still) if before.is_none() => format!("it is as it was: {still}"),
            Err(still) => format!("it is not as before yet: {still}"),
        };
        self.undo_record(previous, ApplyError::Worse { why, then })
    }
}

/// Removes what a run left that was ended.
pub(crate) fn sweep(
    system: &dyn System,
    facts: &Facts,
    options: &Options,
) -> Result<(), (PathBuf, io::Error)> {
    let files = candidates(facts, options);
    let folders: BTreeSet<&Path> =
        files.iter().filter_map(|path| path.parent()).chain([Path::new(spec::STATE_DIR)]).collect();
    folders
        .into_iter()
        .try_for_each(|folder| system.tree().sweep(folder).map_err(|source| (folder.to_owned(), source)))
}

/// A file without our block.
pub(crate) fn without_block(bytes: &[u8], handler: &HandlerName) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => split(text, handler).0.into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}
