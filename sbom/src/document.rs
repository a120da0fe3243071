//! The document: CycloneDX 1.6 in JSON. <https://cyclonedx.org/docs/1.6/json/>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::evidence::{Evidence, Std};
use crate::tree::{Crate, Source, Tree};
use crate::{Compiler, Program, SbomError};

/// The version of the format.
const SPEC_VERSION: &str = "1.6";
/// How the document itself calls the standard library.
const STD: &str = "rust-std";

pub(crate) fn write(
    program: &Program,
    tree: &Tree,
    checksums: &BTreeMap<(String, String), String>,
    evidence: &Evidence,
    compiler: &Compiler,
) -> Result<Vec<u8>, SbomError> {
    let mut components = vec![std_component(program, evidence, compiler)];
    let mut dependencies = vec![json!({ "ref": STD })];
    for (part, below) in &tree.dependencies {
        if *part != tree.root {
            components.push(component(part, checksums)?);
        }
        let mut below: Vec<String> = below.iter().map(reference).collect();
        // Every crate stands on it; it is said once, of the program.
        if *part == tree.root {
            below.push(STD.to_owned());
        }
        dependencies.push(json!({ "ref": reference(part), "dependsOn": below }));
    }
    let root = &tree.root;
    let mut about = json!({
        "type": "application",
        "bom-ref": reference(root),
        "name": root.name,
        "version": root.version,
        "hashes": [{ "alg": "SHA-256", "content": evidence.sha256 }],
        "properties": [{ "name": "rust:target", "value": program.target }],
    });
    license(root, &mut about);
    // No serial number and no time: both would make equal programs unequal documents.
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "component": about,
            "tools": { "components": [{
                "type": "application",
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
            }] },
        },
        "components": components,
        "dependencies": dependencies,
    });
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn component(part: &Crate, checksums: &BTreeMap<(String, String), String>) -> Result<Value, SbomError> {
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(part),
        "name": part.name,
        "version": part.version,
    });
    if part.source == Source::Registry {
        let key = (part.name.clone(), part.version.clone());
        let (name, version) = key.clone();
        let checksum = checksums.get(&key).ok_or(SbomError::NotLocked { name, version })?;
        component["purl"] = json!(reference(part));
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    license(part, &mut component);
    Ok(component)
}

fn license(part: &Crate, component: &mut Value) {
    if let Some(license) = &part.license {
        component["licenses"] = json!([{ "expression": license }]);
    }
}

/// What a program has of its compiler, with the C library that this brings along for static targets.
fn std_component(program: &Program, evidence: &Evidence, compiler: &Compiler) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": STD,
        "name": "std",
        "description": format!("Rust's standard library for {}, with the C library that it brings", program.target),
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
    });
    let version = match &evidence.std {
        Some(Std::Commit(commit)) if *commit == compiler.commit => Some(&compiler.release),
        Some(Std::Commit(other)) => Some(other),
        Some(Std::Version(version)) => Some(version),
        None => None,
    };
    if let Some(version) = version {
        component["version"] = json!(version);
    }
    component
}

/// <https://github.com/package-url/purl-spec/blob/main/types-doc/cargo-definition.md>
fn reference(part: &Crate) -> String {
    match part.source {
        Source::Registry => format!("pkg:cargo/{}@{}", part.name, part.version.replace('+', "%2B")),
        // Nobody finds it at crates.io.
        Source::Workspace => format!("{}@{}", part.name, part.version),
    }
}
