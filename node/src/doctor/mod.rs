//! What is well on a node and what is not, each with what to do about it.

mod examine;
mod label;

use std::fmt;

pub use examine::examine;
pub use label::{LabelError, NodeName, label};

use crate::facts::{Facts, Live as LiveCri};
use crate::options::Options;
use crate::printable::printable;
use crate::system::Live;
use crate::trial;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Wasm runs, and something else may not.
    Warning,
    /// Wasm does not run.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub severity: Severity,
    /// What was found.
    pub text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// All findings, in the order in which one depends on the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The worst of them.
    pub fn severity(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }

    pub(crate) fn ok(&mut self, check: &'static str, text: impl Into<String>) {
        self.findings.push(Finding { check, severity: Severity::Ok, text: text.into(), remedy: None });
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        check: &'static str,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let remedy = Some(remedy.into());
        self.findings.push(Finding { check, severity, text: text.into(), remedy });
    }

    /// Runs WebAssembly for a proof, where there is a containerd to run it.
    pub fn prove(&mut self, system: &Live, facts: &Facts, options: &Options) {
        const CHECK: &str = "trial";
        match &facts.cri {
            LiveCri::Folder => return,
            LiveCri::Down(_) => {
                self.add(
                    Severity::Error,
                    CHECK,
                    "no pod can be run: containerd does not answer",
                    "see above",
                );
                return;
            }
            LiveCri::Up(_) => {}
        }
        match trial::run(system, facts, options) {
            Ok(trial) => {
                if let Some(image) = &trial.stood_in_for {
                    self.add(
                        Severity::Warning,
                        "sandbox-image",
                        format!(
                            "the sandbox image {image} is not on the node: one of our own stood in for it"
                        ),
                        "pods need it: let the node pull it once, or import it (ctr -n k8s.io images import)",
                    );
                }
                let text = format!("a pod said {:?} after {} ms", trial.hello, trial.milliseconds);
                self.ok(CHECK, text);
                self.ok(CHECK, "a wasm container and a native one ran in one pod");
            }
            Err(error) => {
                let mut why = error.to_string();
                let mut source = std::error::Error::source(&error);
                while let Some(error) = source {
                    why = format!("{why}: {error}");
                    source = error.source();
                }
                let remedy = remedy_of(&why);
                self.add(Severity::Error, CHECK, why, remedy);
            }
        }
    }
}

/// What to do about a trial's failure, as far as its words tell.
fn remedy_of(why: &str) -> &'static str {
    for (word, remedy) in [
        ("no runtime for", "restart containerd: it runs with an older configuration"),
        (
            "oom_score_adj",
            "set restrict_oom_score_adj = true in containerd's CRI table: this machine lacks CAP_SYS_RESOURCE",
        ),
        (
            "Exec format error",
            "crun did not take it for WebAssembly: run `wasm-node apply`, which gives it the annotation",
        ),
        ("hybrid", "boot with systemd.unified_cgroup_hierarchy=1: crun refuses cgroup v1 and v2 at once"),
        ("libwasmedge", "install the engine: `wasm-node apply`"),
        (
            "cgroupsPath",
            "SystemdCgroup of crun's runtime must be what containerd's other runtimes and the kubelet have",
        ),
    ] {
        if why.contains(word) {
            return remedy;
        }
    }
    "see containerd's log: journalctl --unit containerd"
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let severity = match finding.severity {
                Severity::Ok => "ok     ",
                Severity::Warning => "warning",
                Severity::Error => "error  ",
            };
            writeln!(f, "{severity}  {:<14} {}", finding.check, printable(&finding.text))?;
            if let Some(remedy) = &finding.remedy {
                writeln!(f, "{:25}-> {remedy}", "")?;
            }
        }
        Ok(())
    }
}
