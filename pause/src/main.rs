//! The process that holds a pod's namespaces: PID 1 of the sandbox.
//!
//! It blocks in `sigwaitinfo(2)`: no wake-up until a signal comes. `SIGTERM` and `SIGINT` end it with exit code 0;
//! `SIGCHLD` makes it reap every orphan that became its child, so that a pod with a shared PID namespace
//! collects no zombies. It takes no argument, reads no file and writes nothing.
//!
//! `no_main`: the C library calls us directly, without the set-up of Rust's runtime, which this needs none of.
#![no_main]

use std::ffi::{c_char, c_int};

/// The signals that this program waits for. They are blocked, so that one which arrives between two waits stays
/// pending, and so that PID 1, which the kernel spares the default action, gets them at all.
const WAITED_FOR: [c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGCHLD];

/// Entered from the C library's start code.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let Some(signals) = block_signals() else { return 1 };
    // An orphan may have been handed over before the signals were blocked.
    reap();
    loop {
        match wait_for(&signals) {
            libc::SIGTERM | libc::SIGINT => return 0,
            // SIGCHLD, or a wait that a stop and continue interrupted: looking once more costs nothing.
            _ => reap(),
        }
    }
}

/// Blocks the waited-for signals and returns their set; `None` if the kernel refuses.
fn block_signals() -> Option<libc::sigset_t> {
    // SAFETY: sigset_t is plain data for which all-zero is a valid value, and sigemptyset sets it anew; every
    // pointer is to a live local, and a null old set is allowed.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in WAITED_FOR {
            libc::sigaddset(&raw mut set, signal);
        }
        (libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) == 0).then_some(set)
    }
}

/// Sleeps until one of `signals` is pending and takes it; -1 when interrupted.
fn wait_for(signals: &libc::sigset_t) -> c_int {
    // SAFETY: the set is a live, initialised one; a null info pointer is allowed.
    unsafe { libc::sigwaitinfo(signals, std::ptr::null_mut()) }
}

/// Collects every child that has ended. One SIGCHLD may stand for several of them.
fn reap() {
    // SAFETY: a null status pointer is allowed; WNOHANG never blocks.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
}
