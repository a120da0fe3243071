//! What a wasm container is given, and how it ends: prints its arguments, its environment and the files of some folders.
//!
//! `FILES` names the folders, with a colon between two; without it, it is where the ConfigMap is mounted. `WRITE` names a file
//! that is written first. The last argument `panic` or `trap` has it fail, and `eat` has it take memory until it is killed. An
//! exit code would be lost: crun reports 1 for the first two, 137 for the third, else 0.

use std::path::Path;
use std::{env, fs, io};

/// Where the ConfigMap is mounted.
const DEFAULT_FILES: &str = "/etc/hello";
const FILES: &str = "FILES";
const WRITE: &str = "WRITE";
/// What `eat` takes at once, and how often: more than any limit that this is tried with.
const BITE: usize = 1 << 20;
const BITES: usize = 1024;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    println!("hello from {}", arguments.first().map_or("nobody", String::as_str));
    for argument in arguments.iter().skip(1) {
        println!("argument {argument}");
    }
    let mut variables: Vec<(String, String)> = env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        println!("variable {name}={value}");
    }
    if let Ok(file) = env::var(WRITE) {
        fs::write(&file, format!("written by {}\n", env::var("POD_NAME").unwrap_or_default()))?;
    }
    for folder in env::var(FILES).as_deref().unwrap_or(DEFAULT_FILES).split(':') {
        files(Path::new(folder))?;
    }
    eprintln!("this line goes to standard error");
    match arguments.last().map(String::as_str) {
        Some("panic") => panic!("told to panic"),
        Some("trap") => std::process::abort(),
        Some("eat") => eat(),
        _ => Ok(()),
    }
}

/// Takes memory, and uses it, or it would not be taken.
fn eat() -> io::Result<()> {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    for bite in 1..=BITES {
        eaten.push(vec![1; BITE]);
        println!("ate {bite} MiB");
    }
    drop(std::hint::black_box(eaten));
    Ok(())
}

/// Prints the files of a folder, in the order of their names; nothing where there is no such folder.
fn files(folder: &Path) -> io::Result<()> {
    let mut paths = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    paths.sort();
    // A ConfigMap's files are links into `..data`, which Kubernetes exchanges as a whole.
    for path in paths.iter().filter(|path| path.is_file()) {
        println!("file {}: {}", path.display(), fs::read_to_string(path)?.trim_end());
    }
    Ok(())
}
