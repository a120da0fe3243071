//! WasmEdge's ahead-of-time compiled modules: an ordinary module with one more section that holds native code. Reads the
//! section's head, and holds a compiled module against the portable one that it should be. Compiles and runs nothing.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use crate::module::AotSection;
use crate::platform::Platform;
use crate::spec;

/// How many bytes of two files are compared at once.
const CHUNK: usize = 64 * 1024;
/// Most sections of a module that are looked at; linkers write some dozens.
const MAX_SECTIONS: usize = 65_536;
/// Magic and version, before the first section.
const HEADER: u64 = 8;
/// The id of a custom section. <https://webassembly.github.io/spec/core/binary/modules.html#custom-section>
const CUSTOM: u8 = 0;

/// Why a compiled module is refused.
#[derive(Debug, thiserror::Error)]
pub enum AotError {
    /// Reading failed.
    #[error("cannot read the compiled module")]
    Io(#[from] io::Error),
    /// It is not the portable module with something added.
    #[error(
        "it does not begin with the bytes of the portable module: compile that very file, with WasmEdge's universal output format"
    )]
    OtherModule,
    /// Nothing was compiled.
    #[error(
        "it has no section {:?}: it was not compiled by WasmEdge, or to a native library",
        spec::AOT_SECTION
    )]
    NoSection,
    /// The section is cut off, or something follows it.
    #[error("its section {:?} is damaged, or not the last one", spec::AOT_SECTION)]
    Damaged,
    /// A format that is not known.
    #[error("its compiled code has the format {0}; only format {known} is known", known = spec::AOT_FORMAT)]
    Format(u32),
    /// For something else than was asked for.
    #[error("its code is for {}, not for {wanted}", Shown(.found.as_deref()))]
    WrongPlatform {
        /// What was asked for.
        wanted: Box<Platform>,
        /// What the section says.
        found: Option<Box<Platform>>,
    },
}

/// The compiled code of a module that is known to be valid, if there is any.
pub(crate) fn find(module: &File) -> io::Result<Option<AotSection>> {
    let length = module.metadata()?.len();
    let mut input = BufReader::new(module);
    let mut offset = HEADER;
    for _ in 0..MAX_SECTIONS {
        if offset >= length {
            break;
        }
        input.seek(SeekFrom::Start(offset))?;
        let (id, size, head) = section_start(&mut input)?;
        if id == CUSTOM
            && let Some(section) = read(&mut (&mut input).take(size), size)?
        {
            return Ok(Some(section));
        }
        offset = offset.saturating_add(head).saturating_add(size);
    }
    Ok(None)
}

/// The content of a custom section of `size` bytes; `None` if it has another name.
fn read(input: &mut impl Read, size: u64) -> io::Result<Option<AotSection>> {
    let mut name = [0; spec::AOT_SECTION.len()];
    let (length, digits) = leb128(input)?;
    if length != name.len() as u64 {
        return Ok(None);
    }
    input.read_exact(&mut name)?;
    let before = digits + length;
    Ok((name == *spec::AOT_SECTION.as_bytes()).then(|| AotSection::read(input, size.saturating_sub(before))))
}

/// An error unless `compiled` is `portable`, byte for byte, with one section behind it that holds code for `platform`.
pub(crate) fn check(portable: &File, compiled: &File, platform: &Platform) -> Result<(), AotError> {
    let length = portable.metadata()?.len();
    let total = compiled.metadata()?.len();
    if !same_start(portable, compiled, length)? {
        return Err(AotError::OtherModule);
    }
    if total == length {
        return Err(AotError::NoSection);
    }
    let mut input = BufReader::new(compiled);
    input.seek(SeekFrom::Start(length))?;
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => AotError::Damaged,
        _ => AotError::Io(error),
    };
    let (id, size, head) = section_start(&mut input).map_err(cut)?;
    if length.checked_add(head).and_then(|sum| sum.checked_add(size)) != Some(total) {
        return Err(AotError::Damaged);
    }
    let section = (id == CUSTOM).then(|| read(&mut input, size)).transpose().map_err(cut)?.flatten();
    let section = section.ok_or(AotError::NoSection)?;
    let version = section.version.ok_or(AotError::Damaged)?;
    if version != spec::AOT_FORMAT {
        return Err(AotError::Format(version));
    }
    let found = section.platform();
    if found.as_ref() != Some(platform) {
        let found = found.map(Box::new);
        return Err(AotError::WrongPlatform { wanted: Box::new(platform.clone()), found });
    }
    Ok(())
}

/// Whether both files begin with the same `length` bytes.
fn same_start(mut one: &File, mut other: &File, length: u64) -> io::Result<bool> {
    one.rewind()?;
    other.rewind()?;
    let (mut left, mut a, mut b) = (length, vec![0; CHUNK], vec![0; CHUNK]);
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        one.read_exact(&mut a[..count])?;
        match other.read_exact(&mut b[..count]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            result => result?,
        }
        if a[..count] != b[..count] {
            return Ok(false);
        }
        left -= count as u64;
    }
    Ok(true)
}

/// A section's id, the length of its content, and how many bytes these two took.
fn section_start(input: &mut impl Read) -> io::Result<(u8, u64, u64)> {
    let mut id = [0];
    input.read_exact(&mut id)?;
    let (size, digits) = leb128(input)?;
    Ok((id[0], size, 1 + digits))
}

/// An unsigned number of at most 32 bits, and how many bytes it took.
/// <https://webassembly.github.io/spec/core/binary/values.html#integers>
fn leb128(input: &mut impl Read) -> io::Result<(u64, u64)> {
    let mut value = 0;
    for digit in 0..5 {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        value |= u64::from(byte[0] & 0x7f) << (7 * digit);
        if byte[0] & 0x80 == 0 {
            return Ok((value, digit + 1));
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a number is longer than it may be"))
}

/// A platform that may be unknown, for people.
struct Shown<'a>(Option<&'a Platform>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(platform) => platform.fmt(f),
            None => f.write_str("a platform that is not known here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A section of compiled code without the code.
    fn section(format: u8, os: u8, architecture: u8) -> Vec<u8> {
        let mut bytes = vec![CUSTOM, 16, 8];
        bytes.extend(spec::AOT_SECTION.as_bytes());
        bytes.extend([format, os, architecture, 1, 2, 3, 4]);
        bytes
    }

    fn file(parts: &[&[u8]]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        parts.iter().for_each(|part| file.write_all(part).unwrap());
        file
    }

    fn module() -> Vec<u8> {
        wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")) (@custom "x" "y"))"#)
            .unwrap()
    }

    #[test]
    fn a_compiled_module_is_the_portable_one_and_code_for_its_platform() {
        let portable = module();
        let platform: Platform = "linux/amd64".parse().unwrap();
        let verdict = |parts: &[&[u8]]| check(&file(&[&portable]), &file(parts), &platform);
        verdict(&[&portable, &section(1, 1, 1)]).unwrap();
        assert!(matches!(verdict(&[&portable]), Err(AotError::NoSection)));
        assert!(matches!(verdict(&[&portable[..20]]), Err(AotError::OtherModule)));
        let mut other = portable.clone();
        other[30] ^= 1;
        assert!(matches!(verdict(&[&other, &section(1, 1, 1)]), Err(AotError::OtherModule)));
        assert!(matches!(verdict(&[&portable, &section(2, 1, 1)]), Err(AotError::Format(2))));
        let found = |parts: &[&[u8]]| match verdict(parts) {
            Err(AotError::WrongPlatform { found, .. }) => found.map(|found| found.to_string()),
            verdict => panic!("{verdict:?}"),
        };
        assert_eq!(found(&[&portable, &section(1, 1, 2)]).as_deref(), Some("linux/arm64"));
        assert_eq!(found(&[&portable, &section(1, 2, 1)]), None);
        let section = section(1, 1, 1);
        for end in 1..section.len() {
            assert!(matches!(verdict(&[&portable, &section[..end]]), Err(AotError::Damaged)), "{end}");
        }
        assert!(matches!(verdict(&[&portable, &section, &[0]]), Err(AotError::Damaged)));
    }

    #[test]
    fn finds_the_section_wherever_it_is() {
        let plain = module();
        assert_eq!(find(&file(&[&plain])).unwrap(), None);
        let found = find(&file(&[&plain[..8], &section(1, 1, 2), &plain[8..]])).unwrap().unwrap();
        assert_eq!(
            (found.version, found.platform().unwrap().to_string()),
            (Some(1), "linux/arm64".to_owned())
        );
    }
}
