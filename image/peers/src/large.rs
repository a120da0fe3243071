//! A large program, and how much memory a command takes with it.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, bail};

/// What is written at once, in bytes.
const BLOCK: usize = 1 << 20;
/// How often a command's memory is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// Numbers without a pattern that gzip would find (xorshift64*).
pub struct Noise(pub u64);

impl Noise {
    /// Eight bytes.
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.word().to_le_bytes()[7]
    }
}

/// A static executable for this project's first platform by its header, with so many bytes of noise behind it, rounded down to MiB.
///
/// # Errors
/// Where it cannot be written.
pub fn write_program(path: &Path, length: u64) -> io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend(2u16.to_le_bytes());
    header.extend(62u16.to_le_bytes());
    header.extend(1u32.to_le_bytes());
    for word in [0x40_1000u64, 64, 0] {
        header.extend(word.to_le_bytes());
    }
    header.extend(0u32.to_le_bytes());
    for short in [64u16, 56, 1, 64, 0, 0] {
        header.extend(short.to_le_bytes());
    }
    header.extend(1u32.to_le_bytes());
    header.extend(4u32.to_le_bytes());
    for word in [120u64, 0, 0, 1, 0, 1] {
        header.extend(word.to_le_bytes());
    }
    file.write_all(&header)?;
    let mut noise = Noise(11);
    let mut block = vec![0; BLOCK];
    for _ in 0..length / BLOCK as u64 {
        block.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&noise.word().to_le_bytes()));
        file.write_all(&block)?;
    }
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.set_permissions(fs::Permissions::from_mode(0o755))
}

/// The most memory that the command had resident, in bytes.
///
/// # Errors
/// Where it cannot be run, or fails.
pub fn peak(command: &mut Command) -> anyhow::Result<u64> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("cannot run it")?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut most = 0;
    // The kernel keeps the maximum itself; looked at until the end, for afterwards it is gone.
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        let said = fs::read_to_string(&status).unwrap_or_default();
        let kib = said.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
        });
        most = most.max(kib.unwrap_or(0) * 1024);
        sleep(PAUSE);
    };
    if !ended.success() {
        bail!("{command:?}: {ended}");
    }
    Ok(most)
}
