//! The OCI configuration that containers of our runtime begin with: containerd's own, and the annotation for crun.

use std::path::PathBuf;

use serde_json::Value;

use super::{Action, Refusal, Share, Step, Write};
use crate::facts::Facts;
use crate::handler::HandlerName;
use crate::options::Options;
use crate::spec;

/// Where it is.
pub(super) fn path(facts: &Facts, handler: &HandlerName) -> PathBuf {
    facts.layout.folder.join(format!("{handler}.json"))
}

pub(super) fn step(facts: &Facts, options: &Options) -> Result<Option<Step>, Refusal> {
    let Some(default) = &facts.default_spec else {
        let command = facts.layout.ctr(&["oci", "spec"]).to_string();
        return Err(Refusal::NoDefaultSpec { command });
    };
    let path = path(facts, &options.handler);
    let write = Write::new(facts, &path, make(default)?, Share::Whole);
    // By meaning: a file that says the same in another form is left alone.
    if write.old.as_ref().is_some_and(|old| same(&old.bytes, &write.new)) {
        return Ok(None);
    }
    let reason = format!(
        "crun takes a program that ends in .wasm for WebAssembly where it finds {}={}; this gives it to every container of {}",
        spec::VARIANT_ANNOTATION,
        spec::VARIANT,
        options.handler
    );
    Ok(Some(Step { action: Action::Write(write), reason }))
}

/// Without what the CRI decides for each container: there, something in the base would win or stand in the way.
fn make(default: &str) -> Result<Vec<u8>, Refusal> {
    let mut value: Value = serde_json::from_str(default).map_err(Refusal::DefaultSpec)?;
    for (table, key) in [("process", "rlimits"), ("process", "apparmorProfile"), ("linux", "seccomp")] {
        if let Some(table) = value.get_mut(table).and_then(Value::as_object_mut) {
            table.remove(key);
        }
    }
    value["annotations"][spec::VARIANT_ANNOTATION] = Value::from(spec::VARIANT);
    let mut bytes = serde_json::to_vec_pretty(&value).map_err(Refusal::DefaultSpec)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn same(one: &[u8], other: &[u8]) -> bool {
    let read = |bytes| serde_json::from_slice::<Value>(bytes).ok();
    read(one).is_some_and(|one| Some(one) == read(other))
}

/// Whether a base spec hands crun the annotation.
pub(crate) fn has_annotation(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes)
        .is_ok_and(|value| value["annotations"][spec::VARIANT_ANNOTATION] == spec::VARIANT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_all_but_what_the_cri_decides() {
        let default = r#"{"process": {"rlimits": [1], "cwd": "/"}, "linux": {"seccomp": {}}, "mounts": [2]}"#;
        let bytes = make(default).unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["process"], serde_json::json!({"cwd": "/"}));
        assert_eq!((&value["linux"], &value["mounts"]), (&serde_json::json!({}), &serde_json::json!([2])));
        assert!(has_annotation(&bytes) && !has_annotation(default.as_bytes()));
        assert!(make("{").is_err());
    }
}
