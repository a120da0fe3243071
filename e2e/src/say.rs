//! What the demo prints: steps with the time since its start, and details below them.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// The narrator.
#[derive(Clone, Copy, Debug)]
pub struct Say {
    started: Instant,
}

impl Say {
    /// The clock starts.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Something that happens now.
    pub fn step(&self, text: impl Display) {
        println!("[{:>7.2} s] {text}", self.elapsed().as_secs_f64());
    }

    /// A line that belongs to the last step.
    pub fn detail(&self, text: impl Display) {
        println!("            {text}");
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Rows under headings, each column as wide as its widest cell.
    pub fn table<const N: usize>(&self, headings: [&str; N], rows: &[[String; N]]) {
        let mut widths = headings.map(str::len);
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: [&str; N]| {
            let text: String =
                cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
            self.detail(text.trim_end());
        };
        line(headings);
        rows.iter().for_each(|row| line(row.each_ref().map(String::as_str)));
    }
}

/// Milliseconds, for people.
pub fn ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    if ms < 10.0 { format!("{ms:.2} ms") } else { format!("{ms:.0} ms") }
}

/// Bytes, for people: powers of ten, as image sizes are told.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.2} MB", count as f64 / 1e6),
    }
}
