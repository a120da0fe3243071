//! How devices are shown: a table for people, an object a line for machines.

use std::io::{self, Write};
use std::time::Instant;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::pb::Device;

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For machines.
    Json,
}

/// Shows lists on standard output and notes on standard error.
pub(crate) struct Printer {
    output: Output,
    started: Instant,
    shown: Option<Vec<Device>>,
}

impl Printer {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, started: Instant::now(), shown: None }
    }

    /// Something that a person wants to know, and a machine need not.
    pub(crate) fn note(&self, text: &str) {
        eprintln!("[{:>8.3} s] {text}", self.started.elapsed().as_secs_f64());
    }

    /// The full list, where it is another one than was shown last: handlers repeat themselves, for agents that forget.
    pub(crate) fn devices(&mut self, devices: &[Device]) -> io::Result<()> {
        if self.shown.as_deref() == Some(devices) {
            return Ok(());
        }
        self.shown = Some(devices.to_vec());
        let seconds = self.started.elapsed().as_secs_f64();
        let mut out = io::stdout().lock();
        match self.output {
            Output::Json => {
                let devices: Vec<Value> = devices.iter().map(object).collect();
                writeln!(
                    out,
                    "{}",
                    json!({ "seconds": (seconds * 1000.0).round() / 1000.0, "devices": devices })
                )?;
            }
            Output::Table => {
                writeln!(out, "[{seconds:>8.3} s] {}", count(devices.len()))?;
                let rows =
                    devices.iter().map(|device| [plain(&device.id), properties(device), nodes(device)]);
                table(&mut out, ["ID", "PROPERTIES", "DEVICE NODES AND MOUNTS"], rows.collect())?;
            }
        }
        out.flush()
    }
}

/// Writes rows under headings, each column as wide as its widest cell; nothing for no rows.
pub(crate) fn table<const N: usize>(
    out: &mut impl Write,
    headings: [&str; N],
    rows: Vec<[String; N]>,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut widths = headings.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut line = |cells: [&str; N]| {
        let mut text = String::from(" ");
        for (cell, width) in cells.iter().zip(widths) {
            text += &format!(" {cell:<width$} ");
        }
        writeln!(out, "{}", text.trim_end())
    };
    line(headings)?;
    rows.iter().try_for_each(|row| line(row.each_ref().map(String::as_str)))
}

fn count(devices: usize) -> String {
    match devices {
        0 => "no devices".to_owned(),
        1 => "1 device".to_owned(),
        n => format!("{n} devices"),
    }
}

fn properties(device: &Device) -> String {
    let mut pairs: Vec<String> =
        device.properties.iter().map(|(name, value)| format!("{}={}", plain(name), plain(value))).collect();
    pairs.sort();
    pairs.join(" ")
}

fn nodes(device: &Device) -> String {
    let specs = device.device_specs.iter().map(|spec| format!("{} ({})", spec.host_path, spec.permissions));
    let mounts = device.mounts.iter().map(|mount| {
        format!(
            "{} -> {}{}",
            mount.host_path,
            mount.container_path,
            if mount.read_only { " (ro)" } else { "" }
        )
    });
    plain(&specs.chain(mounts).collect::<Vec<_>>().join(" "))
}

/// A native handler may send anything: no control character of it reaches a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn object(device: &Device) -> Value {
    let mounts = device.mounts.iter().map(|mount| {
        json!({ "containerPath": mount.container_path, "hostPath": mount.host_path, "readOnly": mount.read_only })
    });
    let specs = device.device_specs.iter().map(|spec| {
        json!({ "containerPath": spec.container_path, "hostPath": spec.host_path, "permissions": spec.permissions })
    });
    json!({
        "id": device.id,
        "properties": device.properties,
        "mounts": mounts.collect::<Vec<_>>(),
        "deviceSpecs": specs.collect::<Vec<_>>(),
    })
}
