//! What a wasm container is given, and how it ends: prints its arguments, its environment and the files of a ConfigMap.
//!
//! The last argument `panic` or `trap` has it fail. An exit code would be lost: crun reports 1 for these, else 0.

use std::path::Path;
use std::{env, fs, io};

/// Where the ConfigMap is mounted.
const FILES: &str = "/etc/hello";

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
    files(Path::new(FILES))?;
    eprintln!("this line goes to standard error");
    match arguments.last().map(String::as_str) {
        Some("panic") => panic!("told to panic"),
        Some("trap") => std::process::abort(),
        _ => Ok(()),
    }
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
