//! `pause` as a pod's sandbox uses it.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test itself does")]

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PAUSE: &str = env!("CARGO_BIN_EXE_pause");
/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}

/// A process that does not outlive its test, however that ends.
struct Pause(Child);

impl Pause {
    fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    /// Whether it waits for signals; before that, one would kill it.
    fn is_waiting(&self) -> bool {
        let call = fs::read_to_string(format!("/proc/{}/syscall", self.0.id())).unwrap();
        call.split(' ').next() == Some(libc::SYS_rt_sigtimedwait.to_string().as_str())
    }

    fn children(&self) -> String {
        let pid = self.0.id();
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap()
    }

    /// The exit code after `signal`.
    fn end(mut self, signal: i32) -> Option<i32> {
        // SAFETY: the process is our child and has not been waited for, so its id is its own.
        assert_eq!(unsafe { libc::kill(self.0.id() as i32, signal) }, 0);
        self.0.wait().unwrap().code()
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn leaves_with_0_on_sigterm_and_sigint() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let pause = Pause::start(&mut Command::new(PAUSE));
        until("waiting", || pause.is_waiting());
        assert_eq!(pause.end(signal), Some(0));
    }
}

#[test]
fn reaps_what_ends() {
    // The shell becomes pause, and its background child with it; that one ends when its input does, which is ours.
    let script = r#"cat <&3 >/dev/null & exec "$0" 3<&-"#;
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec 3<&0; {script} </dev/null"), PAUSE]).stdin(Stdio::piped());
    let mut pause = Pause::start(&mut command);
    let input = pause.0.stdin.take();
    until("waiting", || pause.is_waiting());
    assert!(!pause.children().trim().is_empty());
    drop(input);
    until("no child left", || pause.children().trim().is_empty());
    assert_eq!(pause.end(libc::SIGTERM), Some(0));
}
