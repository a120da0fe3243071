//! A WebAssembly binary of a stranger's: what it says of itself, in one pass and at leisure, and who would run it.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use wasm_image::{ModuleReport, ModuleSummary, verdicts};

fuzz_target!(|bytes: &[u8]| {
    let summary = ModuleSummary::read(bytes);
    let Ok(report) = ModuleReport::read(&mut Cursor::new(bytes)) else { return };
    assert_eq!(report.size, bytes.len() as u64);
    // Both readers mean the same.
    if let Ok(summary) = summary {
        assert_eq!((report.command, report.invalid.as_deref()), (Some(summary.command), None));
    }
    let mut shown = report.to_string();
    verdicts(&report, None).iter().for_each(|verdict| shown.push_str(&verdict.to_string()));
    // Whatever it calls its parts, they can be shown, and move no cursor.
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    serde_json::to_vec(&report).expect("a report can be written");
});
