//! From facts to steps. Pure: nothing is asked and nothing is changed here.

pub(crate) mod base_spec;
mod containerd;
mod kernel;
mod packages;
mod refusal;
mod view;

use std::path::{Path, PathBuf};

pub use refusal::Refusal;
pub use view::View;

use crate::facts::{Edit, Facts, Live, OldFile, Restart};
use crate::handler::HandlerName;
use crate::invocation::Invocation;
use crate::options::Options;
use crate::spec;
use crate::system::Attributes;

/// What would be done, in order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// What is good to know besides.
    pub notes: Vec<String>,
    /// The file that has the runtime's table, where that is ours.
    pub edit: Option<Edit>,
    /// The runtime that containerd has to have in the end.
    pub wanted: crate::cri::LiveRuntime,
}

/// One thing that is done, and why.
#[derive(Clone, Debug)]
pub struct Step {
    /// What.
    pub action: Action,
    /// Why.
    pub reason: String,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Files that the package manager reads, then its commands. What follows is planned anew after them.
    Install {
        /// Sources and pins.
        writes: Vec<Write>,
        /// In order; the first that fails ends it.
        commands: Vec<Invocation>,
        /// What comes by it.
        packages: Vec<String>,
    },
    /// A file is written.
    Write(Write),
    /// A command whose failure costs nothing that a reboot would not bring.
    Try(Invocation),
    /// containerd reads its configuration anew.
    Restart(Restart),
}

/// A file that is written, and what was there.
#[derive(Clone, Debug)]
pub struct Write {
    /// Where.
    pub path: PathBuf,
    /// What is there.
    pub old: Option<OldFile>,
    /// What will be there.
    pub new: Vec<u8>,
    /// How much of it is ours.
    pub share: Share,
}

/// How much of a file is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// All of it.
    Whole,
    /// A block in a file of somebody else's.
    Block,
}

impl Write {
    /// Keeps whose the file is.
    pub fn attributes(&self) -> Attributes {
        self.old.as_ref().map(|old| old.attributes).unwrap_or_default()
    }

    fn new(facts: &Facts, path: &Path, new: Vec<u8>, share: Share) -> Self {
        Self { path: path.to_owned(), old: facts.files.get(path).cloned(), new, share }
    }

    fn changes(&self) -> bool {
        self.old.as_ref().is_none_or(|old| old.bytes != self.new)
    }
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether packages come first, and the rest has to be planned after them.
    pub fn installs(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Install { .. }))
    }

    /// The files that are written, packages' own aside.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Write(write) => Some(write),
            _ => None,
        })
    }
}

/// Makes the plan.
///
/// # Errors
/// Where the node cannot be prepared as it is; with what a person can do.
pub fn plan(facts: &Facts, options: &Options) -> Result<Plan, Refusal> {
    let mut plan = Plan::default();
    if let Some(step) = packages::step(facts, options, &mut plan.notes)? {
        plan.steps.push(step);
        if facts.containerd.is_none() {
            plan.notes.push("what else changes can be said once containerd is installed".to_owned());
            return Ok(plan);
        }
    }
    let before = plan.steps.len();
    if let Some(step) = base_spec::step(facts, options)? {
        plan.steps.push(step);
    }
    let change = containerd::change(facts, options, &mut plan.notes)?;
    plan.wanted = change.runtime;
    plan.edit = change.edit;
    plan.steps.extend(change.step);
    let restart = (plan.steps.len() > before).then(|| "its configuration changed".to_owned());
    kernel::steps(facts, options, &mut plan.steps);
    if let Some(reason) = restart.or_else(|| restart_reason(facts, &plan, &options.handler)) {
        plan.steps.push(Step { action: Action::Restart(facts.layout.restart.clone()), reason });
    }
    Ok(plan)
}

/// Why containerd has to start anew although no file changes: it runs with something else than the files say.
fn restart_reason(facts: &Facts, plan: &Plan, handler: &HandlerName) -> Option<String> {
    match &facts.cri {
        Live::Folder => None,
        Live::Down(why) => Some(format!("it does not answer: {why}")),
        Live::Up(state) => match state.runtimes.get(handler.as_str()) {
            None => Some(format!("it runs without {handler}, which its configuration has")),
            // This containerd names its runtimes, and says no more.
            Some(live) if live.runtime_type.is_empty() || *live == plan.wanted => None,
            Some(_) => Some(format!("it runs with another {handler} than its configuration has")),
        },
    }
}

/// Every file that a plan may write.
pub(crate) fn candidates(facts: &Facts, options: &Options) -> Vec<PathBuf> {
    let (Edit::Main(config) | Edit::DropIn(config) | Edit::Template(config)) = containerd::edit(facts);
    let others = [spec::MODULES_FILE, spec::SYSCTL_FILE, spec::APT_SOURCE, spec::APT_PIN];
    let others = others.into_iter().map(PathBuf::from);
    others.chain([config, base_spec::path(facts, &options.handler)]).collect()
}
