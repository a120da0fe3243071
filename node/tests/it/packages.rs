//! What is installed on which distribution.

use wasm_node::apply::{Applied, ApplyError, apply};
use wasm_node::facts::detect;
use wasm_node::options::{Options, Packages};
use wasm_node::plan::{Action, Refusal, plan};

use crate::applying::{applied, uninstalled};
use crate::played::{DEBIAN, HANDLER, Played, WITHOUT_ENGINE};

const FORKY: &str = "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nVERSION_CODENAME=forky\n";
const BOOKWORM: &str = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian 12\"\n";
const SOURCES: &str = "deb [signed-by=/x.gpg] http://mirror.example.org/debian forky main\n";

fn on(os: &str) -> Played {
    let node = Played::bare(DEBIAN);
    node.put("/etc/os-release", os);
    node.put("/etc/apt/sources.list", SOURCES);
    node
}

fn commands(node: &Played) -> Vec<String> {
    let plan = plan(&detect(node, &Options::default()).unwrap(), &Options::default()).unwrap();
    let install = plan.steps.iter().find_map(|step| match &step.action {
        Action::Install { commands, .. } => Some(commands.iter().map(ToString::to_string).collect()),
        _ => None,
    });
    install.unwrap()
}

#[test]
fn debian_13_and_ubuntu_install_their_own() {
    for os in ["ID=debian\nVERSION_ID=13\n", "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"25.10\"\n"] {
        let node = on(os);
        let said = commands(&node);
        assert!(
            said[0].ends_with(" update") && said[1].ends_with("--no-install-recommends crun libwasmedge0"),
            "{said:?}"
        );
        assert_eq!(applied(&node).unwrap(), Applied::Done);
        assert_eq!(node.runtimes(), [HANDLER, "runc"]);
        assert_eq!(applied(&node).unwrap(), Applied::Unchanged);
    }
}

#[test]
fn fedora_installs_by_dnf() {
    let said = commands(&on("ID=fedora\nVERSION_ID=43\n"));
    assert_eq!(said, ["dnf install --assumeyes --setopt=install_weak_deps=False crun-wasm wasmedge-rt"]);
}

#[test]
fn debian_testing_gets_debian_13s_crun_pinned_and_held_and_gives_all_back() {
    let mut node = on(FORKY);
    node.archive[0] = WITHOUT_ENGINE;
    let before = node.snapshot();
    assert_eq!(applied(&node).unwrap(), Applied::Done);
    assert_eq!(node.runtimes(), [HANDLER, "runc"]);
    let said = node.commands.borrow().join("\n");
    assert!(said.contains("install --no-install-recommends crun libwasmedge0\n"), "{said}");
    assert!(said.contains("crun/trixie --allow-downgrades\napt-mark hold crun\n"), "{said}");
    let source = node.get("/etc/apt/sources.list.d/wasm-node-trixie.sources").unwrap();
    assert!(source.contains("URIs: http://mirror.example.org/debian\nSuites: trixie\n"), "{source}");
    let pin = node.get("/etc/apt/preferences.d/wasm-node-trixie").unwrap();
    assert!(pin.contains("Package: *\nPin: release n=trixie\nPin-Priority: 100\n"), "{pin}");
    assert_eq!(applied(&node).unwrap(), Applied::Unchanged);
    uninstalled(&node);
    assert!(node.commands.borrow().iter().any(|command| command == "apt-mark unhold crun"));
    let mut after = node.snapshot();
    after.retain(|path, _| before.contains_key(path) || !path.starts_with("usr"));
    assert_eq!(after, before);
}

#[test]
fn without_a_mirror_it_is_said_and_nothing_is_changed() {
    for sources in
        ["", "# deb http://mirror.example.org/debian forky main\n", "deb cdrom:[Debian] forky main\n"]
    {
        let mut node = on(FORKY);
        node.archive[0] = WITHOUT_ENGINE;
        node.install_crun(WITHOUT_ENGINE);
        node.put("/etc/apt/sources.list", sources);
        let before = node.snapshot();
        let refused = applied(&node).unwrap_err();
        assert!(matches!(refused, ApplyError::Refused(Refusal::NoMirror { .. })), "{refused}");
        assert_eq!((node.snapshot(), node.commands.borrow().len()), (before, 0));
    }
}

#[test]
fn somebody_elses_source_is_no_mirror_of_debian() {
    let mut node = on(FORKY);
    node.archive[0] = WITHOUT_ENGINE;
    node.put("/etc/apt/sources.list", "deb https://packages.example.org/engine forky stable\n");
    node.put(
        "/etc/apt/sources.list.d/debian.sources",
        "Types: deb\nURIs: http://mirror.example.org/debian/\n",
    );
    assert_eq!(applied(&node).unwrap(), Applied::Done);
    let source = node.get("/etc/apt/sources.list.d/wasm-node-trixie.sources").unwrap();
    assert!(source.contains("URIs: http://mirror.example.org/debian/\n"), "{source}");
}

#[test]
fn debian_12_says_what_is_lacking_and_takes_it_from_13_when_told() {
    let node = on(BOOKWORM);
    let before = node.snapshot();
    let refused = applied(&node).unwrap_err();
    assert!(matches!(refused, ApplyError::Refused(Refusal::TooOld { .. })));
    let said = refused.to_string();
    assert!(said.contains("crun, libwasmedge0") && said.contains("--from-trixie"), "{said}");
    assert_eq!(node.snapshot(), before);
    let options = Options { packages: Packages::FromTrixie, ..Options::default() };
    assert_eq!(apply(&node, &options, &mut |_| {}).unwrap(), Applied::Done);
    assert!(
        node.commands
            .borrow()
            .join("\n")
            .contains("crun libwasmedge0 --target-release trixie --allow-downgrades")
    );
}

#[test]
fn what_cannot_be_installed_is_named() {
    let refused = applied(&on("ID=alpine\nPRETTY_NAME=\"Alpine Linux\"\n")).unwrap_err().to_string();
    assert!(refused.contains("crun, libwasmedge0") && refused.contains("Alpine Linux"), "{refused}");
    let options = Options { packages: Packages::Never, ..Options::default() };
    let refused = apply(&on(FORKY), &options, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, ApplyError::Refused(Refusal::PackagesMissing { .. })));
}

#[test]
fn a_crun_without_engine_that_no_package_replaces_is_refused() {
    let node = on("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n");
    node.install_crun(WITHOUT_ENGINE);
    let refused = applied(&node).unwrap_err();
    assert!(matches!(refused, ApplyError::Refused(Refusal::CrunWithoutEngine { .. })), "{refused}");
    // And packages that are there, and do not help, end in an error and not in a circle.
    let mut node = on(FORKY);
    node.archive = [WITHOUT_ENGINE; 2];
    assert!(matches!(applied(&node).unwrap_err(), ApplyError::StillMissing));
}
