//! containerd's configuration, as people and installers left it: read by meaning, and what is ours put in and taken out again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_node::config::{Block, ConfigVersion, Document, Effective, RuntimeTable, render_runtime, split};
use wasm_node::handler::HandlerName;

fuzz_target!(|text: &str| {
    let handler = HandlerName::default();
    let (without, block) = split(text, &handler);
    if block.is_none() {
        assert_eq!(without, text, "what is not ours stays");
    }
    let Ok(document) = Document::parse(text.as_bytes()) else { return };
    let _ = (document.imports(), document.has_cri(), document.sandbox_image(), document.check_cri());
    let runtimes = document.runtimes();
    if let Ok(effective) = Effective::parse(text) {
        assert_eq!(effective.difference(&effective, "x"), None, "it differs from itself");
    }
    let version = document.version().unwrap_or(ConfigVersion::THREE);
    if document.check_open(version).is_err() {
        return;
    }
    // A runtime of theirs is written as it was read.
    for (name, table) in &runtimes {
        let rendered = format!("version = {}\n{}", version.number(), render_runtime(name, table, version));
        let again = Document::parse(rendered.as_bytes()).expect("what is written can be read").runtimes();
        assert_eq!(again.get(name).map(|found| &found.runtime), Some(&table.runtime), "{rendered}");
    }
    let ours =
        render_runtime(handler.as_str(), &RuntimeTable::crun("/usr/bin/crun", "/etc/x.json", true), version);
    let block = Block { content: ours };
    let with = block.append_to(&without, &handler);
    assert_eq!(split(&with, &handler), (without, Some(block)), "what was there comes back");
});
