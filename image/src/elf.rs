//! Just enough of ELF to say whether a binary runs on an empty root: its machine, and that nothing is to be
//! loaded beside it. Source: <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>

use std::io::{self, Read, Seek, SeekFrom};

use crate::platform::Platform;

/// `e_type` of an executable at a fixed address.
const ET_EXEC: u16 = 2;
/// `e_type` of a position-independent executable, and of a library.
const ET_DYN: u16 = 3;
/// The program header that names the dynamic linker.
const PT_INTERP: u32 = 3;
/// Most program headers that are looked at; linkers write about ten.
const MAX_PROGRAM_HEADERS: u16 = 1024;

/// Why a binary is refused.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// Reading failed.
    #[error("cannot read the binary")]
    Io(#[source] io::Error),
    /// No ELF magic.
    #[error("this is no ELF binary{}", if *.0 { ": a script needs its interpreter, which an image from scratch lacks" } else { "" })]
    NotElf(bool),
    /// Ends within its own headers, or the headers make no sense.
    #[error("the ELF headers are damaged or cut off")]
    Damaged,
    /// A library or an object file.
    #[error("this ELF file is no executable (a library or an object file)")]
    NotExecutable,
    /// A machine that no platform stands for.
    #[error("the ELF machine {0} is none that images can be built for")]
    UnknownMachine(u16),
    /// Asks for a dynamic linker.
    #[error(
        "the binary is dynamically linked (needs {0}), but the image holds nothing else: link it statically, for Rust with --target x86_64-unknown-linux-musl or -C target-feature=+crt-static"
    )]
    Dynamic(String),
    /// Built for something else than was asked for.
    #[error("the binary is for {found}, not for {wanted}")]
    WrongPlatform {
        /// What was asked for.
        wanted: Box<Platform>,
        /// What the ELF header says.
        found: Box<Platform>,
    },
    /// A platform that has no native binaries here.
    #[error(
        "images of binaries cannot be built for {0}: expected linux with amd64, arm64, arm, 386, riscv64, ppc64le or s390x"
    )]
    NotNative(Platform),
}

/// Checks that `binary` is a static executable and returns its platform: `wanted`, which it must then match, or
/// the one that its header says.
pub(crate) fn check_static(
    binary: &mut (impl Read + Seek),
    wanted: Option<&Platform>,
) -> Result<Platform, ElfError> {
    let header = Header::read(binary)?;
    let found = Platform::from_elf_machine(header.machine).ok_or(ElfError::UnknownMachine(header.machine));
    let platform = match wanted {
        None => found?,
        Some(wanted) => match wanted.elf_machine() {
            None => return Err(ElfError::NotNative(wanted.clone())),
            Some(machine) if machine == header.machine => wanted.clone(),
            Some(_) => {
                return Err(ElfError::WrongPlatform {
                    wanted: Box::new(wanted.clone()),
                    found: Box::new(found?),
                });
            }
        },
    };
    if !matches!(header.kind, ET_EXEC | ET_DYN) {
        return Err(ElfError::NotExecutable);
    }
    for index in 0..header.program_headers {
        if let Some(linker) = header.interpreter(binary, index)? {
            return Err(ElfError::Dynamic(linker));
        }
    }
    // A library without an interpreter has no entry point either.
    if header.entry == 0 { Err(ElfError::NotExecutable) } else { Ok(platform) }
}

/// The fields of the ELF header that matter here, with the file's way of writing numbers.
struct Header {
    wide: bool,
    little: bool,
    kind: u16,
    machine: u16,
    entry: u64,
    table: u64,
    stride: u16,
    program_headers: u16,
}

impl Header {
    fn read(binary: &mut (impl Read + Seek)) -> Result<Self, ElfError> {
        let mut bytes = Vec::with_capacity(64);
        binary.rewind().map_err(ElfError::Io)?;
        binary.by_ref().take(64).read_to_end(&mut bytes).map_err(ElfError::Io)?;
        if !bytes.starts_with(b"\x7fELF") {
            return Err(ElfError::NotElf(bytes.starts_with(b"#!")));
        }
        let (wide, little) = match bytes.get(4..6) {
            Some([class @ (1 | 2), data @ (1 | 2)]) => (*class == 2, *data == 1),
            _ => return Err(ElfError::Damaged),
        };
        let number = |narrow: (usize, usize), broad: (usize, usize)| {
            let (at, length) = if wide { broad } else { narrow };
            bytes.get(at..at + length).map(|bytes| number(bytes, little)).ok_or(ElfError::Damaged)
        };
        let short = |narrow: usize, broad: usize| {
            // Two bytes always fit.
            number((narrow, 2), (broad, 2)).map(|value| value as u16)
        };
        let header = Self {
            wide,
            little,
            kind: short(16, 16)?,
            machine: short(18, 18)?,
            entry: number((24, 4), (24, 8))?,
            table: number((28, 4), (32, 8))?,
            stride: short(42, 54)?,
            program_headers: short(44, 56)?,
        };
        if header.program_headers > MAX_PROGRAM_HEADERS { Err(ElfError::Damaged) } else { Ok(header) }
    }

    /// The dynamic linker, if the program header `index` names one.
    fn interpreter(&self, binary: &mut (impl Read + Seek), index: u16) -> Result<Option<String>, ElfError> {
        let offset =
            self.table.checked_add(u64::from(index) * u64::from(self.stride)).ok_or(ElfError::Damaged)?;
        let entry = read_at(binary, offset, if self.wide { 56 } else { 32 })?;
        let number = |at: usize, length: usize| number(&entry[at..at + length], self.little);
        if number(0, 4) != u64::from(PT_INTERP) {
            return Ok(None);
        }
        let (offset, length) =
            if self.wide { (number(8, 8), number(32, 8)) } else { (number(4, 4), number(16, 4)) };
        let name =
            read_at(binary, offset, usize::try_from(length.min(256)).unwrap_or(256)).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(name).into_owned()))
    }
}

fn read_at(binary: &mut (impl Read + Seek), offset: u64, length: usize) -> Result<Vec<u8>, ElfError> {
    let mut bytes = vec![0; length];
    binary.seek(SeekFrom::Start(offset)).map_err(|_| ElfError::Damaged)?;
    match binary.read_exact(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ElfError::Damaged),
        Err(error) => Err(ElfError::Io(error)),
    }
}

fn number(bytes: &[u8], little: bool) -> u64 {
    let fold = |value, byte: &u8| value << 8 | u64::from(*byte);
    if little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn what_runs_here_is_judged() {
        // The test binary itself: dynamic with glibc, static with musl.
        let own = std::env::current_exe().unwrap();
        let verdict = check_static(&mut std::fs::File::open(own).unwrap(), None);
        if cfg!(target_feature = "crt-static") {
            verdict.unwrap();
        } else {
            assert!(matches!(verdict, Err(ElfError::Dynamic(linker)) if linker.contains("ld")));
        }
    }

    #[test]
    fn garbage_is_refused() {
        let script = check_static(&mut Cursor::new(b"#!/bin/sh\n"), None);
        assert!(matches!(script, Err(ElfError::NotElf(true))));
        for length in 4..64 {
            let mut bytes = b"\x7fELF\x02\x01".to_vec();
            bytes.resize(length, 0xff);
            assert!(check_static(&mut Cursor::new(bytes), None).is_err());
        }
    }
}
