//! How far it is: bars where someone looks, lines where something reads, on standard error.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{DecimalBytes, MultiProgress, ProgressBar, ProgressStyle};
use wasm_image::{BlobReport, Digest, Progress, Quiet, RegistryError};

/// How many digits of a digest a person can bear.
const DIGITS: usize = 12;
/// A bar: which blob, how much of it, how fast.
const STYLE: &str = "{prefix} [{bar:30}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}";

/// What suits standard error.
pub(crate) fn reporter(quiet: bool) -> Arc<dyn Progress> {
    if quiet {
        Arc::new(Quiet)
    } else if io::stderr().is_terminal() {
        Arc::new(Bars::default())
    } else {
        Arc::new(Lines)
    }
}

fn short(digest: &Digest) -> String {
    let digits: String = digest.hex().chars().take(DIGITS).collect();
    format!("{}:{digits}…", digest.algorithm().as_str())
}

fn line_of(report: &BlobReport) -> String {
    let resumed = match report.resumed {
        0 => String::new(),
        times => format!(", broke off and went on {times} times"),
    };
    format!("{} {} {}{resumed}", short(&report.digest), DecimalBytes(report.size), report.outcome)
}

fn waiting(reason: &RegistryError, wait: Duration) -> String {
    let mut text = reason.to_string();
    let mut next = std::error::Error::source(reason);
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    format!("trying again in {:.1} s: {text}", wait.as_secs_f64())
}

/// One line for each thing that is done.
struct Lines;

impl Lines {
    fn line(text: &str) {
        // Nothing can be done if even this fails.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

impl Progress for Lines {
    fn ends(&self, report: &BlobReport) {
        Self::line(&line_of(report));
    }

    fn waits(&self, reason: &RegistryError, wait: Duration) {
        Self::line(&waiting(reason, wait));
    }

    fn note(&self, text: &str) {
        Self::line(&format!("note: {text}"));
    }
}

/// A bar for each blob that moves.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    moving: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Bars {
    fn line(&self, text: &str) {
        // Nothing can be done if even this fails.
        let _ = self.all.println(text);
    }
}

impl Progress for Bars {
    fn begins(&self, digest: &Digest, size: u64) {
        let bar = self.all.add(ProgressBar::new(size));
        if let Ok(style) = ProgressStyle::with_template(STYLE) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(short(digest));
        self.moving.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone(), bar);
    }

    fn moved(&self, digest: &Digest, position: u64) {
        if let Some(bar) = self.moving.lock().unwrap_or_else(PoisonError::into_inner).get(digest) {
            bar.set_position(position);
        }
    }

    fn ends(&self, report: &BlobReport) {
        let bar = self.moving.lock().unwrap_or_else(PoisonError::into_inner).remove(&report.digest);
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        self.line(&line_of(report));
    }

    fn waits(&self, reason: &RegistryError, wait: Duration) {
        self.line(&waiting(reason, wait));
    }

    fn note(&self, text: &str) {
        self.line(&format!("note: {text}"));
    }
}
