//! A run that is ended at any point, followed by another one, comes to where an undisturbed run does; and whenever the
//! machine starts in between, containerd and its CRI do, too.

use wasm_node::options::Options;
use wasm_node::uninstall::uninstall;

use crate::applying::{IMPORTED, IMPORTS, USERS, applied};
use crate::played::{DEBIAN, HANDLER, Played};

type Make = fn() -> Played;

const NODES: [Make; 4] = [
    || Played::new(DEBIAN),
    || Played::new(USERS),
    || {
        let node = Played::new(IMPORTS[0]);
        node.put(IMPORTED, IMPORTS[1]);
        node.start();
        node
    },
    || {
        let node = Played::bare(DEBIAN);
        node.put("/var/lib/kubelet/config.yaml", "cgroupDriver: systemd\n");
        node
    },
];

/// Whether the machine starts anew after the kill, or only the run does.
const STARTS: [bool; 2] = [false, true];

fn alive(node: &Played, at: u64) {
    assert!(node.runtimes().contains(&"runc".to_owned()), "CRI is dead after a kill at {at}");
}

#[test]
fn apply_may_be_killed_at_every_change() {
    for make in NODES {
        let undisturbed = make();
        let before = undisturbed.snapshot();
        applied(&undisturbed).unwrap();
        let changes = undisturbed.life.changes.get();
        assert!(changes > 10, "{changes}");
        for (at, starts) in (0..changes).flat_map(|at| STARTS.map(|starts| (at, starts))) {
            let node = make();
            node.life.last.set(Some(at));
            applied(&node).unwrap_err();
            alive(&node, at);
            node.life.last.set(None);
            if starts {
                node.start();
                alive(&node, at);
            }
            applied(&node).unwrap_or_else(|error| panic!("after a kill at {at}: {error}"));
            assert_eq!(node.snapshot(), undisturbed.snapshot(), "after a kill at {at}");
            assert_eq!(*node.running.borrow(), *undisturbed.running.borrow(), "after a kill at {at}");
            uninstall(&node, &Options::default(), &mut |_| {}).unwrap();
            let mut after = node.snapshot();
            // Packages stay.
            after.retain(|path, _| before.contains_key(path) || !path.starts_with("usr"));
            assert_eq!(after, before, "after a kill at {at}");
        }
    }
}

#[test]
fn uninstall_may_be_killed_at_every_change() {
    let removed = |node: &Played| uninstall(node, &Options::default(), &mut |_| {});
    for make in NODES {
        let undisturbed = make();
        applied(&undisturbed).unwrap();
        let from = undisturbed.life.changes.get();
        removed(&undisturbed).unwrap();
        let until = undisturbed.life.changes.get();
        for (at, starts) in (from..until).flat_map(|at| STARTS.map(|starts| (at, starts))) {
            let node = make();
            applied(&node).unwrap();
            node.life.last.set(Some(at));
            removed(&node).unwrap_err();
            alive(&node, at);
            node.life.last.set(None);
            if starts {
                node.start();
                alive(&node, at);
            }
            removed(&node).unwrap_or_else(|error| panic!("after a kill at {at}: {error}"));
            assert_eq!(node.snapshot(), undisturbed.snapshot(), "after a kill at {at}");
            assert!(!node.runtimes().contains(&HANDLER.to_owned()), "after a kill at {at}");
        }
    }
}

#[test]
fn apply_after_a_killed_uninstall_and_the_other_way_round() {
    let undisturbed = Played::new(USERS);
    let before = undisturbed.snapshot();
    applied(&undisturbed).unwrap();
    let from = undisturbed.life.changes.get();
    let after = undisturbed.snapshot();
    for at in 0..from {
        let node = Played::new(USERS);
        node.life.last.set(Some(at));
        applied(&node).unwrap_err();
        node.life.last.set(None);
        uninstall(&node, &Options::default(), &mut |_| {}).unwrap();
        assert_eq!(node.snapshot(), before, "uninstall after an apply that was killed at {at}");
    }
    for at in from..from + 8 {
        let node = Played::new(USERS);
        applied(&node).unwrap();
        node.life.last.set(Some(at));
        uninstall(&node, &Options::default(), &mut |_| {}).unwrap_err();
        node.life.last.set(None);
        applied(&node).unwrap();
        assert_eq!(node.snapshot(), after, "apply after an uninstall that was killed at {at}");
    }
}
