//! What is installed, and by whom. Whether a crun will do is decided by what it says of itself once it is there.

use std::path::Path;

use super::{Action, Refusal, Share, Step, Write};
use crate::facts::{Facts, Kind, PackageManager};
use crate::invocation::Invocation;
use crate::options::{Options, Packages};
use crate::spec;

/// The oldest Debian whose crun runs wasm.
const FIRST_DEBIAN: u32 = 13;
/// What is missing is downloaded without questions.
const QUIET: [(&str, &str); 1] = [("DEBIAN_FRONTEND", "noninteractive")];

pub(super) fn step(
    facts: &Facts,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Option<Step>, Refusal> {
    if let Some(crun) = &facts.crun
        && let Some(why) = &crun.failure
        // In a root folder of another architecture nothing can be run.
        && facts.live
    {
        return Err(Refusal::CrunBroken { path: crun.path.clone(), why: why.clone() });
    }
    let containerd = facts.containerd.is_none() && facts.layout.kind == Kind::Plain;
    let (crun, engine) = (facts.crun.is_none(), facts.engine.is_none());
    let wrong = facts.crun.as_ref().filter(|crun| crun.failure.is_none() && !crun.has_engine());
    let manager = facts.os.package_manager();
    let mut missing = Vec::new();
    for (lacks, deb, rpm) in [
        (containerd, "containerd", "containerd"),
        (crun || wrong.is_some(), "crun", "crun-wasm"),
        (engine, "libwasmedge0", "wasmedge-rt"),
    ] {
        if lacks {
            missing.push(if manager == Some(PackageManager::Dnf) { rpm } else { deb }.to_owned());
        }
    }
    if missing.is_empty() {
        return Ok(None);
    }
    if options.packages == Packages::Never {
        return Err(Refusal::PackagesMissing { missing });
    }
    let name = || if facts.os.name.is_empty() { "this system".to_owned() } else { facts.os.name.clone() };
    let debian = facts.os.id == "debian";
    let old = debian && facts.os.major().is_some_and(|major| major < FIRST_DEBIAN);
    let newer = debian && facts.os.major().is_none_or(|major| major > FIRST_DEBIAN);
    let action = match manager {
        None => return Err(Refusal::UnknownDistribution { name: name(), missing }),
        Some(PackageManager::Apt) if old && (crun || engine || wrong.is_some()) => {
            if options.packages != Packages::FromTrixie {
                return Err(Refusal::TooOld { name: name(), missing });
            }
            from_trixie(facts, missing.clone(), From::Everything)?
        }
        Some(PackageManager::Apt)
            if wrong.is_some_and(|crun| crun.path == Path::new("/usr/bin/crun")) && newer =>
        {
            if let Some(crun) = wrong {
                notes.push(format!(
                    "crun {} of {} is built without WasmEdge: Debian 13's is taken, pinned and held",
                    crun.version,
                    name()
                ));
            }
            from_trixie(facts, missing.clone(), From::CrunAlone)?
        }
        Some(manager) => {
            if let Some(crun) = wrong {
                return Err(Refusal::CrunWithoutEngine {
                    path: crun.path.clone(),
                    version: crun.version.clone(),
                });
            }
            let commands = match manager {
                PackageManager::Apt => vec![apt(&["update"]), install(&missing)],
                PackageManager::Dnf => {
                    let words: Vec<&str> = missing.iter().map(String::as_str).collect();
                    vec![
                        Invocation::install(
                            "dnf",
                            &["install", "--assumeyes", "--setopt=install_weak_deps=False"],
                        )
                        .and(&words),
                    ]
                }
            };
            Action::Install { writes: Vec::new(), commands, packages: missing.clone() }
        }
    };
    let reason = format!("missing: {}", missing.join(", "));
    Ok(Some(Step { action, reason }))
}

/// Debian 13's packages on another Debian: its source, a pin that keeps everything else away, and a hold on crun, which an
/// upgrade would replace by one without the engine.
fn from_trixie(facts: &Facts, missing: Vec<String>, what: From) -> Result<Action, Refusal> {
    let Some(mirror) = &facts.apt_mirror else { return Err(Refusal::NoMirror { missing }) };
    let pinned = match what {
        From::Everything => "crun libwasmedge0",
        From::CrunAlone => "crun",
    };
    let source = format!(
        "# Written by `wasm-node apply`: crun with WasmEdge comes from here, and by the pin beside nothing else.\nTypes: deb\nURIs: {mirror}\nSuites: {release}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        release = spec::DEBIAN_RELEASE
    );
    let pin = format!(
        "# Written by `wasm-node apply`.\nPackage: *\nPin: release n={release}\nPin-Priority: 100\n\nPackage: {pinned}\nPin: release n={release}\nPin-Priority: 1001\n",
        release = spec::DEBIAN_RELEASE
    );
    let install = match what {
        // What they need comes from there, too, which apt finds by itself in no other way.
        From::Everything => install(&missing).and(&["--target-release", spec::DEBIAN_RELEASE]),
        From::CrunAlone => {
            let of_release = |name: &String| match &**name {
                "crun" => format!("crun/{}", spec::DEBIAN_RELEASE),
                other => other.to_owned(),
            };
            install(&missing.iter().map(of_release).collect::<Vec<_>>())
        }
    };
    let writes = [(spec::APT_SOURCE, source), (spec::APT_PIN, pin)]
        .map(|(path, text)| Write::new(facts, Path::new(path), text.into_bytes(), Share::Whole));
    let commands = vec![
        apt(&["update"]),
        install.and(&["--allow-downgrades"]),
        Invocation::look("apt-mark", &["hold", "crun"]),
    ];
    Ok(Action::Install { writes: writes.into(), commands, packages: missing })
}

/// What comes from Debian 13.
#[derive(Clone, Copy)]
enum From {
    /// crun and the engine, on an older Debian.
    Everything,
    /// crun, on a newer one.
    CrunAlone,
}

fn apt(arguments: &[&str]) -> Invocation {
    let quiet = ["--quiet", "--quiet", "--yes", "-o", "DPkg::Lock::Timeout=300"];
    let apt = Invocation::install("apt-get", &quiet).and(arguments);
    QUIET.iter().fold(apt, |apt, (name, value)| apt.with(name, value))
}

fn install(packages: &[String]) -> Invocation {
    let words: Vec<&str> = packages.iter().map(String::as_str).collect();
    apt(&["install", "--no-install-recommends"]).and(&words)
}
