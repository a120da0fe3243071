//! A module without its custom sections, as a stream.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::sections::{CUSTOM_SECTION, Sections};

/// A module without its custom sections, which no validator looks at: native code in one of them may be most of the file.
pub(super) struct Portable<'a, R> {
    input: &'a mut R,
    /// The stretches that are left, the next one last.
    ranges: Vec<Range<u64>>,
    placed: bool,
}

impl<'a, R: Read + Seek> Portable<'a, R> {
    pub(super) fn new(sections: &Sections, input: &'a mut R) -> Self {
        let first = sections.list.first().map_or(sections.size, |section| section.whole.start);
        let portable = sections.list.iter().filter(|section| section.id != CUSTOM_SECTION);
        let mut ranges: Vec<_> =
            std::iter::once(0..first).chain(portable.map(|section| section.whole.clone())).collect();
        ranges.reverse();
        Self { input, ranges, placed: false }
    }
}

impl<R: Read + Seek> Read for Portable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(range) = self.ranges.last_mut() {
            if range.is_empty() {
                self.ranges.pop();
                self.placed = false;
                continue;
            }
            if !self.placed {
                self.input.seek(SeekFrom::Start(range.start))?;
                self.placed = true;
            }
            let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let wanted = left.min(buffer.len());
            let count = self.input.read(&mut buffer[..wanted])?;
            range.start += count as u64;
            return Ok(count);
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn what_is_left_is_the_module_without_custom_sections() {
        let with = r#"(module (@custom "a" (before first) "x") (memory 1) (@custom "b" (after last) "y"))"#;
        let bytes = wat::parse_str(with).unwrap();
        let mut input = Cursor::new(bytes);
        let sections = Sections::read(&mut input).unwrap();
        let mut left = Vec::new();
        Portable::new(&sections, &mut input).read_to_end(&mut left).unwrap();
        assert_eq!(left, wat::parse_str("(module (memory 1))").unwrap());
    }
}
