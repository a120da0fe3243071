//! A run, from what was asked for to how it ended.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::child::{Mount, Outcome, Request};
use super::image::{Prepared, prepare};
use super::supervise::{Came, supervise};
use super::unpack::Unpacker;
use super::{Ending, Namespaces, NativeCode, RunError, RunPlan, Volume};

/// Runs what `plan` says. `note` is told what a person should know. All that is made for the run is gone afterwards.
pub fn run(plan: &RunPlan, note: &mut dyn FnMut(&str)) -> Result<Ending, RunError> {
    let work = tempfile::Builder::new().prefix("wasm-image-run-").tempdir();
    let work = work.map_err(RunError::io("make a temporary folder"))?;
    let root = work.path().join("root");
    fs::create_dir(&root).map_err(RunError::io("make the root"))?;
    let prepared = prepare(plan, &root)?;
    prepared.notes.iter().for_each(|text| note(text));
    if prepared.compiled.is_some() && plan.native_code == NativeCode::Ignored {
        note(
            "the module's compiled code is not used: it would run unchecked, with your rights (--aot runs it)",
        );
    }
    let mut request = request(plan, prepared, &root)?;
    loop {
        let outcome = match supervise(&request, plan.time_limit)? {
            Came::Ended(ending) => return Ok(ending),
            Came::Outcome(outcome) => outcome,
        };
        match outcome {
            Outcome::Exited(code) => return Ok(Ending::Exited(code)),
            Outcome::Trapped(reason) => return Ok(Ending::Trapped(reason)),
            Outcome::Refused(reason) => return Err(RunError::Refused(reason)),
            Outcome::Failed(reason) => return Err(RunError::Child(reason)),
            Outcome::Volume { guest, reason } => return Err(RunError::Volume { guest, reason }),
            Outcome::Unwalled(reason) if request.walled => {
                note(&format!(
                    "the module has no root of its own ({reason}): WASI's own checks are all that hold it, and volumes \
                     are not listed in the folders above them"
                ));
                unwall(&mut request)?;
            }
            Outcome::Unwalled(reason) => return Err(RunError::Child(reason)),
        }
    }
}

fn request(plan: &RunPlan, prepared: Prepared, root: &Path) -> Result<Request, RunError> {
    let volumes = plan.volumes.iter().map(|volume| mount_point(volume, root)).collect::<Result<_, _>>()?;
    let mut request = Request {
        parent: rustix::process::getpid().as_raw_pid(),
        root: root.to_owned(),
        module: prepared.module,
        argv: prepared.argv,
        env: prepared.env,
        volumes,
        memory: plan.memory_limit.map(|limit| (limit.bytes(), limit.pages())),
        native: plan.native_code == NativeCode::Trusted,
        walled: plan.namespaces == Namespaces::IfPossible,
    };
    if !request.walled {
        unwall(&mut request)?;
    }
    Ok(request)
}

/// Without a wall, the engine opens volumes itself, and it can open folders only.
fn unwall(request: &mut Request) -> Result<(), RunError> {
    request.walled = false;
    for volume in &request.volumes {
        let bad = |reason: &str| RunError::Volume { guest: volume.guest.clone(), reason: reason.to_owned() };
        let host = volume.host.to_str().ok_or_else(|| bad("its path is no UTF-8"))?;
        // The engine's way of writing a volume down is the same as ours.
        if host.contains(':') || volume.guest.contains(':') {
            return Err(bad("a path with a colon needs namespaces"));
        }
        if !volume.host.is_dir() {
            return Err(bad("a file that is no folder needs namespaces"));
        }
    }
    Ok(())
}

/// Makes the place of a volume, as what it will be: a folder or a file.
fn mount_point(volume: &Volume, root: &Path) -> Result<Mount, RunError> {
    let guest = volume.guest.to_string();
    let bad = |error: io::Error| RunError::Volume { guest: guest.clone(), reason: error.to_string() };
    let host = volume.host.canonicalize().map_err(|error| RunError::Volume {
        guest: guest.clone(),
        reason: format!("{}: {error}", volume.host.display()),
    })?;
    let place = Unpacker::new(root.to_owned()).place(volume.guest.relative())?;
    let is_dir = host.is_dir();
    match place.symlink_metadata() {
        Ok(found) if found.is_dir() == is_dir && !found.is_symlink() => {}
        Ok(_) => {
            let reason =
                if is_dir { "the image has a file or link there" } else { "the image has a folder there" };
            return Err(RunError::Volume { guest, reason: reason.to_owned() });
        }
        Err(_) if is_dir => fs::create_dir(&place).map_err(bad)?,
        Err(_) => File::create_new(&place).map(drop).map_err(bad)?,
    }

    Ok(Mount { host, guest, access: volume.access })
}
