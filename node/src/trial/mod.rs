//! The trial: pods are run through the CRI as the kubelet would, and what they say is read from their logs.
//!
//! It brings its own images, needs no network and no pod network, and leaves nothing. What one left that was killed is found
//! by its marks, and removed by the next and by whatever else wasm-node does: see [`left`].

mod images;
mod left;
mod pod;
mod programs;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::cri::{Cri, CriError};
use crate::facts::{Arch, Facts};
use crate::options::Options;
use crate::spec;
use crate::system::{Live, System};
use images::Program;
pub use left::clear_left;
use pod::{Pod, Said};

/// The module's image.
const HELLO_IMAGE: &str = "localhost/wasm-node/hello:doctor";
/// The native program's image.
const SIDECAR_IMAGE: &str = "localhost/wasm-node/sidecar:doctor";
/// The label by which pods of a trial are known, also those of one that was ended.
const LABEL: (&str, &str) = ("wasm-node", "doctor");
/// The trial's files, below its folder.
const FILES: &str = "trial";
/// How long a container may take: most of it is the engine being read from a slow card.
const LIMIT: Duration = Duration::from_secs(60);
/// How long an image may take from its import until the CRI knows it, which no event tells.
const IMAGE_LIMIT: Duration = Duration::from_secs(10);

/// Why a trial did not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// No program for this processor.
    #[error("there is no trial for this processor's architecture")]
    Architecture,
    /// The folder.
    #[error("cannot make and lock {dir}", dir = spec::TRIAL_DIR)]
    Folder(#[source] std::io::Error),
    /// Another one.
    #[error("another trial is running: wait for its end")]
    Locked,
    /// An image cannot be packed.
    #[error("cannot pack the image {image}: {why}")]
    Pack {
        /// Its name.
        image: String,
        /// Why not.
        why: String,
    },
    /// A name that no image of ours can have.
    #[error("cannot stand in for the sandbox image {0:?}: pull it, or import it")]
    Name(String),
    /// containerd does not take it.
    #[error("containerd did not take the image {image}: {why}")]
    Import {
        /// Its name.
        image: String,
        /// Why not.
        why: String,
    },
    /// The CRI does.
    #[error(transparent)]
    Cri(#[from] CriError),
    /// A container failed.
    #[error("the {what} container ended with {code}{said}")]
    Failed {
        /// Which.
        what: &'static str,
        /// Its exit code.
        code: i32,
        /// What it said.
        said: String,
    },
    /// A container said something else.
    #[error("the {what} container said {said:?} in place of {expected:?}")]
    Said {
        /// Which.
        what: &'static str,
        /// What it said.
        said: String,
        /// What it was to say.
        expected: String,
    },
}

/// What a trial showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Trial {
    /// What the module said.
    pub hello: String,
    /// From the pod's start until the module had ended.
    pub milliseconds: u128,
    /// A sandbox image that is not on the node, and that this brought along.
    pub stood_in_for: Option<String>,
}

/// Runs a module alone, then one beside a native program in one pod.
///
/// # Errors
/// Where one of them does not end well, or something is left.
pub fn run(system: &Live, facts: &Facts, options: &Options) -> Result<Trial, TrialError> {
    let (Some(sidecar), Some(pause)) = (programs::sidecar(facts.arch), programs::pause(facts.arch)) else {
        return Err(TrialError::Architecture);
    };
    let tree = system.tree();
    let lock = left::lock(tree).map_err(TrialError::Folder)?.ok_or(TrialError::Locked)?;
    let mut cri = system.block_on(Cri::connect(&facts.layout.socket))?;
    // What a trial left that was ended, the sandbox image's name among it.
    system.block_on(left::clear(&mut cri))?;
    let folder = left::make_folder(tree).map_err(TrialError::Folder)?;
    let sandbox_image = facts
        .cri
        .state()
        .and_then(|state| state.sandbox_image.clone())
        .or_else(|| facts.effective.as_ref()?.sandbox_image());
    let absent = match &sandbox_image {
        Some(name) if !system.block_on(cri.has_image(name))? => Some(name.clone()),
        _ => None,
    };
    let tried = (|| {
        let mut programs =
            vec![(HELLO_IMAGE, Program::Module(programs::HELLO)), (SIDECAR_IMAGE, Program::Native(&sidecar))];
        programs.extend(absent.as_deref().map(|name| (name, Program::Native(&pause))));
        for (name, program) in &programs {
            tree.about_to("import an image").map_err(TrialError::Folder)?;
            images::import(system, &facts.layout, &folder, name, program)?;
        }
        system.block_on(async {
            for (name, _) in &programs {
                known(&mut cri, name).await?;
            }
            tree.about_to("run pods").map_err(TrialError::Folder)?;
            trial(system, &mut cri, facts, options, &folder).await
        })
    })();
    // Also after a failure; the first error is the one to tell.
    let cleared = system.block_on(left::clear(&mut cri));
    let removed = left::remove_folder(tree);
    drop(lock);
    let trial = tried?;
    cleared?;
    removed.map_err(TrialError::Folder)?;
    Ok(Trial { stood_in_for: absent, ..trial })
}

async fn trial(
    system: &Live,
    cri: &mut Cri,
    facts: &Facts,
    options: &Options,
    folder: &Path,
) -> Result<Trial, TrialError> {
    let handler = options.handler.as_str();
    let systemd =
        facts.cri.state().and_then(|state| state.runtimes.get(handler)).is_some_and(|of| of.systemd_cgroup);
    let words = [word(), word(), word()];
    let began = Instant::now();
    let pod = Pod::start(cri, handler, systemd, folder, "alone").await?;
    system.tree().about_to("run a container").map_err(TrialError::Folder)?;
    let hello = pod.run(cri, "wasm", HELLO_IMAGE, &words[0], LIMIT).await?;
    let milliseconds = began.elapsed().as_millis();
    expect("wasm", &hello, &format!("hello from WebAssembly: {}", words[0]))?;
    pod.stop(cri).await?;
    let pod = Pod::start(cri, handler, systemd, folder, "together").await?;
    let beside = pod.run(cri, "wasm", HELLO_IMAGE, &words[1], LIMIT).await?;
    let native = pod.run(cri, "native", SIDECAR_IMAGE, &format!("{}\n", words[2]), LIMIT).await?;
    pod.stop(cri).await?;
    expect("wasm", &beside, &format!("hello from WebAssembly: {}", words[1]))?;
    expect("native", &native, &words[2])?;
    Ok(Trial { hello: hello.text, milliseconds, stood_in_for: None })
}

fn expect(what: &'static str, said: &Said, expected: &str) -> Result<(), TrialError> {
    if said.code != 0 {
        let text =
            if said.text.is_empty() { String::new() } else { format!(": {}", said.text.escape_debug()) };
        return Err(TrialError::Failed { what, code: said.code, said: text });
    }
    if said.text != expected {
        return Err(TrialError::Said { what, said: said.text.clone(), expected: expected.to_owned() });
    }
    Ok(())
}

async fn known(cri: &mut Cri, name: &str) -> Result<(), CriError> {
    let began = Instant::now();
    while !cri.has_image(name).await? {
        if began.elapsed() > IMAGE_LIMIT {
            return Err(CriError::TimedOut(IMAGE_LIMIT.as_secs(), "an imported image is known"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A word that nobody else says.
fn word() -> String {
    let mut bytes = [0; 8];
    // From the kernel, which has them since its first second.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    format!("{:016x}", u64::from_le_bytes(bytes))
}

/// Whether there is a trial for this processor.
pub fn is_possible(arch: Arch) -> bool {
    programs::sidecar(arch).is_some()
}
