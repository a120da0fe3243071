//! A broker for Akri's udev devices, in WebAssembly: opens the device nodes that it was given, reads from them again and
//! again, and prints what it read.
//!
//! `ROUNDS` is how often it reads from each; without it, for ever. `PAUSE_SECONDS` (1) is between two rounds, and `BYTES`
//! (16, at most 4096) is what is read at once. A device that has nothing to say yet is waited for: with several of them,
//! the others wait, too, for wasm has one thread.

mod node;
mod reader;

use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

use node::Node;
use reader::{Reader, dump};

const ROUNDS: &str = "ROUNDS";
const PAUSE_SECONDS: &str = "PAUSE_SECONDS";
const BYTES: &str = "BYTES";
/// The most that is read at once.
const MOST_BYTES: usize = 4096;

// An exit code would be lost under crun: a panic is what is seen.
fn main() -> ExitCode {
    let nodes = node::given(env::vars()).unwrap_or_else(|error| panic!("{error}"));
    if nodes.is_empty() {
        panic!("no device: there is no variable {}", node::PROPERTY);
    }
    let rounds = number(ROUNDS).unwrap_or(u64::MAX);
    let pause = Duration::from_secs(number(PAUSE_SECONDS).unwrap_or(1));
    let bytes = number(BYTES).map_or(16, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    assert!((1..=MOST_BYTES).contains(&bytes), "{BYTES}={bytes} is not between 1 and {MOST_BYTES}");
    let mut readers: Vec<(Node, Reader)> = nodes.into_iter().map(|node| open(node, bytes)).collect();
    for round in 1..=rounds {
        for (node, reader) in &mut readers {
            let read = reader.next().unwrap_or_else(|error| panic!("cannot read {node}: {error}"));
            println!("round {round}: {node} at {}: {}", read.offset, dump(&read.bytes));
        }
        if round < rounds {
            thread::sleep(pause);
        }
    }
    ExitCode::SUCCESS
}

fn open(node: Node, bytes: usize) -> (Node, Reader) {
    match Reader::open(&node, bytes) {
        Ok(reader) => (node, reader),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            panic!("cannot open {node}: {error}; give the pod the group of the device (supplementalGroups)")
        }
        Err(error) => panic!("cannot open {node}: {error}"),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is no whole number")))
}
