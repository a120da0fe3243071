//! Where each section of a WebAssembly binary lies. Reads headers only, so that whether a file is whole is known at once,
//! and what a reader has no use for costs it nothing. Modules and components are framed alike.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use super::{CORE_HEADER, MAGIC, ModuleError};

/// The section that holds what the specification does not know.
/// <https://webassembly.github.io/spec/core/binary/modules.html#sections>
pub(crate) const CUSTOM_SECTION: u8 = 0;
/// Most sections of a binary; compilers write some tens.
const MAX_SECTIONS: usize = 10_000;
/// Longest name of a custom section that is kept, in bytes; what is longer is cut.
const MAX_NAME: usize = 256;
/// What a component begins with after the magic: a version of its own, and layer 1.
/// <https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md>
const COMPONENT_LAYER: [u8; 2] = [1, 0];

/// The two kinds of WebAssembly binaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BinaryKind {
    /// A core module.
    Module,
    /// A component: WASI 0.2 and later.
    Component,
}

/// One section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub id: u8,
    /// From its id to its last byte.
    pub whole: Range<u64>,
    /// What it holds; of a custom section, what follows its name.
    pub content: Range<u64>,
    /// A custom section's name, its own words: hostile until escaped.
    pub name: Option<String>,
}

/// The frame of a binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sections {
    pub kind: BinaryKind,
    pub size: u64,
    pub list: Vec<Section>,
}

impl Sections {
    /// Reads the headers of all sections; an error if this is no binary, or not the whole of one.
    pub(crate) fn read(input: &mut (impl Read + Seek)) -> Result<Self, ModuleError> {
        let size = input.seek(SeekFrom::End(0))?;
        input.rewind()?;
        let mut input = Counted { inner: BufReader::new(input), at: 0 };
        let kind = input.kind()?;
        let mut list = Vec::new();
        while let Some(id) = input.byte()? {
            if list.len() == MAX_SECTIONS {
                return Err(ModuleError::TooManySections(MAX_SECTIONS));
            }
            let start = input.at - 1;
            let cut = || ModuleError::CutOff(start);
            let length = input.number()?.ok_or_else(cut)?;
            let end = input.at + u64::from(length);
            if end > size {
                return Err(cut());
            }
            let name = match id {
                CUSTOM_SECTION => Some(input.name(end)?.ok_or_else(cut)?),
                _ => None,
            };
            list.push(Section { id, whole: start..end, content: input.at..end, name });
            input.skip_to(end)?;
        }
        Ok(Self { kind, size, list })
    }
}

/// A reader that knows where it is.
struct Counted<R> {
    inner: BufReader<R>,
    at: u64,
}

impl<R: Read + Seek> Counted<R> {
    fn kind(&mut self) -> Result<BinaryKind, ModuleError> {
        let mut header = Vec::with_capacity(CORE_HEADER.len());
        self.inner.by_ref().take(CORE_HEADER.len() as u64).read_to_end(&mut header)?;
        self.at = header.len() as u64;
        if header == CORE_HEADER {
            return Ok(BinaryKind::Module);
        }
        match header.strip_prefix(MAGIC) {
            Some([_, _, layer @ ..]) if layer == COMPONENT_LAYER => Ok(BinaryKind::Component),
            Some([a, b, c, d]) => Err(ModuleError::Version(u32::from_le_bytes([*a, *b, *c, *d]))),
            _ => Err(ModuleError::NotWasm),
        }
    }

    /// The next byte, if there is one.
    fn byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        match self.inner.read_exact(&mut byte) {
            Ok(()) => {
                self.at += 1;
                Ok(Some(byte[0]))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A number of 32 bits in LEB128; `None` where there is none.
    /// <https://webassembly.github.io/spec/core/binary/values.html#integers>
    fn number(&mut self) -> io::Result<Option<u32>> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let Some(byte) = self.byte()? else { return Ok(None) };
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(u32::try_from(value).ok());
            }
        }
        Ok(None)
    }

    /// A name that ends before `end`; `None` where it does not.
    fn name(&mut self, end: u64) -> io::Result<Option<String>> {
        let Some(length) = self.number()? else { return Ok(None) };
        let after = self.at + u64::from(length);
        if after > end {
            return Ok(None);
        }
        let kept = u64::from(length).min(MAX_NAME as u64);
        let mut name = Vec::new();
        self.inner.by_ref().take(kept).read_to_end(&mut name)?;
        self.at += name.len() as u64;
        self.skip_to(after)?;
        Ok(Some(String::from_utf8_lossy(&name).into_owned()))
    }

    fn skip_to(&mut self, to: u64) -> io::Result<()> {
        // A file has less than 2^63 bytes.
        self.inner.seek_relative((to - self.at) as i64)?;
        self.at = to;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Sections, ModuleError> {
        Sections::read(&mut Cursor::new(bytes))
    }

    #[test]
    fn sections_in_their_order() {
        let bytes =
            wat::parse_str(r#"(module (@custom "x" "1234") (memory 1) (func (export "_start")))"#).unwrap();
        let sections = read(&bytes).unwrap();
        assert_eq!((sections.kind, sections.size), (BinaryKind::Module, bytes.len() as u64));
        let ids: Vec<_> = sections.list.iter().map(|section| section.id).collect();
        assert_eq!(ids.iter().filter(|id| **id != CUSTOM_SECTION).collect::<Vec<_>>(), [&1, &3, &5, &7, &10]);
        let custom = sections.list.iter().find(|section| section.name.as_deref() == Some("x")).unwrap();
        assert_eq!(&bytes[custom.content.start as usize..custom.content.end as usize], b"1234");
        let mut at = 8;
        for section in &sections.list {
            assert_eq!(section.whole.start, at);
            at = section.whole.end;
        }
        assert_eq!(at, sections.size);
    }

    #[test]
    fn a_component_is_framed_alike() {
        let bytes = wat::parse_str("(component (core module))").unwrap();
        assert_eq!(read(&bytes).unwrap().kind, BinaryKind::Component);
    }

    #[test]
    fn every_cut_within_a_section_is_seen() {
        let bytes = wat::parse_str(r#"(module (memory 1) (func (export "_start")))"#).unwrap();
        let ends: Vec<_> = read(&bytes).unwrap().list.iter().map(|section| section.whole.end).collect();
        for end in 0..bytes.len() {
            let whole = end == 8 || ends.contains(&(end as u64));
            assert_eq!(read(&bytes[..end]).is_ok(), whole, "cut at {end}");
        }
    }

    #[test]
    fn numbers_that_are_none() {
        let with = |tail: &[u8]| read(&[&CORE_HEADER[..], tail].concat());
        for tail in
            [&[1, 0x80][..], &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 1], &[1, 0xff, 0xff, 0xff, 0xff, 0x7f]]
        {
            assert!(matches!(with(tail), Err(ModuleError::CutOff(8))), "{tail:?}");
        }
        // A name that is longer than its section.
        assert!(matches!(with(&[0, 2, 5, b'x']), Err(ModuleError::CutOff(8))));
        let many = [0, 1, 0].repeat(MAX_SECTIONS + 1);
        assert!(matches!(with(&many), Err(ModuleError::TooManySections(_))));
    }
}
