//! Assembles the module that `doctor` runs.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source = "programs/hello.wat";
    println!("cargo::rerun-if-changed={source}");
    let output = std::env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?;
    std::fs::write(Path::new(&output).join("hello.wasm"), wat::parse_file(source)?)?;
    Ok(())
}
