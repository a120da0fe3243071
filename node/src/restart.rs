//! containerd's restart, and whether it is as well afterwards as it was before.

use std::path::Path;
use std::time::Duration;

use crate::cri::{CriState, LiveRuntime};
use crate::facts::Restart;
use crate::handler::HandlerName;
use crate::invocation::Invocation;
use crate::system::{Patience, System};

/// How long a restart may take: systemd itself gives up after 90 s.
const RESTART_LIMIT: Duration = Duration::from_secs(100);
/// How often the pod network is looked for, which comes a moment after the runtime, and the time between.
const NETWORK_LOOKS: (u32, Duration) = (50, Duration::from_millis(100));

/// Has containerd start anew.
pub(crate) fn restart(system: &dyn System, how: &Restart) -> Result<(), String> {
    let commands = match how {
        Restart::Person => return Ok(()),
        Restart::Command(command) => vec![command.clone()],
        // A unit that failed a few times in a row is not started any more until that is forgotten.
        Restart::Unit(unit) => vec![
            Invocation::look("systemctl", &["reset-failed", unit]),
            Invocation::look("systemctl", &["restart", unit]),
        ],
    };
    let last = commands.len() - 1;
    for (number, command) in commands.into_iter().enumerate() {
        let command = Invocation { limit: RESTART_LIMIT, ..command };
        let why = match system.run(&command) {
            Ok(ran) if ran.succeeded() => continue,
            Ok(ran) => ran.complaint(),
            Err(error) => error.to_string(),
        };
        if number == last {
            return Err(format!("`{command}`: {why}"));
        }
    }
    Ok(())
}

/// Whether containerd is as well as before, and has the runtime that it is to have.
pub(crate) fn judge(
    system: &dyn System,
    socket: &Path,
    before: Option<&CriState>,
    wanted: Option<(&HandlerName, &LiveRuntime)>,
) -> Result<(), String> {
    let ask = |patience| system.cri(socket, patience).map_err(|error| error.to_string());
    let mut state = ask(Patience::Starting)?;
    let (looks, pause) = NETWORK_LOOKS;
    for _ in 0..looks {
        if state.network_ready || !before.is_some_and(|before| before.network_ready) {
            break;
        }
        std::thread::sleep(pause);
        state = ask(Patience::None)?;
    }
    if !state.runtime_ready {
        return Err("its runtime is not ready".to_owned());
    }
    if let Some(lost) = before.and_then(|before| state.lost_since(before)) {
        return Err(lost);
    }
    let Some((name, wanted)) = wanted else { return Ok(()) };
    match state.runtimes.get(name.as_str()) {
        None => Err(format!("it has no runtime {name}")),
        Some(live) if live.runtime_type.is_empty() || live == wanted => Ok(()),
        Some(_) => Err(format!("its runtime {name} is another than its configuration has")),
    }
}
