//! Kernel modules and settings that a pod network needs, made to stay over a reboot.

use std::path::Path;

use super::{Action, Share, Step, Write};
use crate::facts::Facts;
use crate::invocation::Invocation;
use crate::options::{KernelSettings, Options};
use crate::spec;

pub(super) fn steps(facts: &Facts, options: &Options, steps: &mut Vec<Step>) {
    let needed = facts.kubelet.is_some() || facts.pod_network;
    match options.kernel {
        KernelSettings::Never => return,
        KernelSettings::WhereNeeded if !needed => return,
        _ => {}
    }
    let kernel = &facts.kernel;
    if !kernel.modules_lacking.is_empty() {
        let new = file(&kernel.modules_lacking, "");
        let write = Write::new(facts, Path::new(spec::MODULES_FILE), new, Share::Whole);
        if write.changes() {
            let reason = "pods' networks and layers need these modules, also after a reboot".to_owned();
            steps.push(Step { action: Action::Write(write), reason });
            for module in kernel.modules_lacking.iter().filter(|_| facts.live) {
                let action = Action::Try(Invocation::look("modprobe", &[module]));
                steps.push(Step { action, reason: "loaded now, too".to_owned() });
            }
        }
    }
    if !kernel.settings_lacking.is_empty() {
        let new = file(&kernel.settings_lacking, " = 1");
        let write = Write::new(facts, Path::new(spec::SYSCTL_FILE), new, Share::Whole);
        if write.changes() {
            let reason = "pods' packets are forwarded and filtered, also after a reboot".to_owned();
            steps.push(Step { action: Action::Write(write), reason });
            if facts.live {
                let action = Action::Try(Invocation::look("sysctl", &["--load", spec::SYSCTL_FILE]));
                steps.push(Step { action, reason: "set now, too".to_owned() });
            }
        }
    }
}

fn file(names: &[String], value: &str) -> Vec<u8> {
    let lines: String = names.iter().map(|name| format!("{name}{value}\n")).collect();
    format!("# Written by `wasm-node apply`, taken out by `wasm-node uninstall`.\n{lines}").into_bytes()
}
