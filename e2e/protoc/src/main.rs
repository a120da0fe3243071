//! The part of `protoc` that prost-build calls: `protoc [--include_imports] [--include_source_info] -o FILE -I DIR... FILE...`.
//!
//! The crate k8s-cri runs protoc when it is built. This stands in for it, in Rust alone; see the script `protoc` beside.

use std::path::PathBuf;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let (mut includes, mut files, mut output) = (Vec::new(), Vec::new(), None);
    let (mut imports, mut source_info) = (false, false);
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().map(PathBuf::from).context("an option lacks its value");
        match argument.to_str() {
            Some("-I") => includes.push(value()?),
            Some("-o") => output = Some(value()?),
            Some("--include_imports") => imports = true,
            Some("--include_source_info") => source_info = true,
            Some(other) if other.starts_with('-') => {
                bail!("{other} is nothing that this stand-in for protoc does")
            }
            _ => files.push(PathBuf::from(argument)),
        }
    }
    let output = output.context("-o FILE is missing")?;
    let mut compiler = protox::Compiler::new(includes)?;
    compiler.include_imports(imports).include_source_info(source_info).open_files(files)?;
    std::fs::write(&output, compiler.encode_file_descriptor_set())
        .with_context(|| format!("cannot write {}", output.display()))
}
