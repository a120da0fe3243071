//! Where each file of an archive lies. Reads headers only, and refuses what an image layout has no use for: links,
//! devices, paths that point outside, two members of one name.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use tar::{EntryType, Header};

use super::{Finding, Limits, Problem};
use crate::spec;

/// A tar file's unit. <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>
const BLOCK: u64 = 512;
/// Most bytes of an extended header that are read; real ones have some hundreds.
const MAX_EXTENSION: u64 = 64 * 1024;
/// Longest path that is kept: `blobs/sha512/` and 128 digits, with room.
const MAX_PATH: usize = 160;

/// From and up to which byte of the archive a member lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub start: u64,
    pub end: u64,
}

/// The members of an archive that belong to an image layout.
#[derive(Debug, Default)]
pub(crate) struct TarIndex {
    members: HashMap<String, Range>,
}

/// What an extended header says about the member after it.
#[derive(Default)]
struct Extension {
    path: Option<String>,
    size: Option<u64>,
}

impl TarIndex {
    /// Reads all headers; no index if the file does not even begin as a tar file does.
    pub(super) fn read(file: &File, limits: &Limits) -> io::Result<(Option<Self>, Vec<Finding>)> {
        let length = file.metadata()?.len();
        let mut scan = Scan { file, length, index: Self::default(), findings: Vec::new() };
        if !scan.starts_as_tar()? {
            return Ok((None, Vec::new()));
        }
        if let Some(problem) = scan.run(limits)? {
            scan.find(problem);
        }
        Ok((Some(scan.index), scan.findings))
    }

    pub(super) fn get(&self, path: &str) -> Option<Range> {
        self.members.get(path).copied()
    }
}

struct Scan<'a> {
    file: &'a File,
    length: u64,
    index: TarIndex,
    findings: Vec<Finding>,
}

impl Scan<'_> {
    fn starts_as_tar(&self) -> io::Result<bool> {
        let mut block = [0; BLOCK as usize];
        if self.length < BLOCK {
            return Ok(false);
        }
        self.file.read_exact_at(&mut block, 0)?;
        Ok(block == [0; BLOCK as usize] || checksum_is_right(&block))
    }

    /// Goes through the members; what ends this early is returned.
    fn run(&mut self, limits: &Limits) -> io::Result<Option<Problem>> {
        let mut offset = 0;
        let mut extension = Extension::default();
        for _ in 0..limits.members {
            let mut block = [0; BLOCK as usize];
            // A missing end mark is common, and harms no one: what is missing besides will be noticed.
            if offset == self.length {
                return Ok(None);
            }
            if self.length - offset < BLOCK {
                return Ok(Some(Problem::Truncated(format!("the header at byte {offset}"))));
            }
            self.file.read_exact_at(&mut block, offset)?;
            if block == [0; BLOCK as usize] {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            let Some(size) = header.entry_size().ok().filter(|_| checksum_is_right(&block)) else {
                return Ok(Some(Problem::DamagedArchive(offset)));
            };
            let kind = header.entry_type();
            let size = if is_extension(kind) { size } else { extension.size.unwrap_or(size) };
            let start = offset + BLOCK;
            let Some(end) = start.checked_add(size).filter(|end| *end <= self.length) else {
                let path = extension.path.unwrap_or_else(|| path_of(header));
                return Ok(Some(Problem::Truncated(path)));
            };
            if is_extension(kind) {
                if size > MAX_EXTENSION || !self.extend(kind, Range { start, end }, &mut extension)? {
                    return Ok(Some(Problem::DamagedArchive(offset)));
                }
            } else {
                let path = std::mem::take(&mut extension).path.unwrap_or_else(|| path_of(header));
                self.member(kind, &path, Range { start, end });
            }
            // The padding of the last member may be missing.
            offset = end.next_multiple_of(BLOCK).min(self.length);
        }
        Ok(Some(Problem::TooMany { what: "archive members", limit: limits.members as u64 }))
    }

    /// Takes in an extended header; false if it makes no sense.
    fn extend(&self, kind: EntryType, range: Range, extension: &mut Extension) -> io::Result<bool> {
        // At most MAX_EXTENSION, as the caller saw to.
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.file.read_exact_at(&mut bytes, range.start)?;
        if kind.is_gnu_longname() {
            let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            extension.path = Some(String::from_utf8_lossy(name).into_owned());
        } else if kind.is_pax_local_extensions() {
            let Some(records) = pax_records(&bytes) else { return Ok(false) };
            for (key, value) in records {
                match key {
                    b"path" => extension.path = Some(String::from_utf8_lossy(value).into_owned()),
                    b"size" => match std::str::from_utf8(value).ok().and_then(|size| size.parse().ok()) {
                        Some(size) => extension.size = Some(size),
                        None => return Ok(false),
                    },
                    _ => {}
                }
            }
        }
        Ok(true)
    }

    fn member(&mut self, kind: EntryType, raw: &str, range: Range) {
        let shown = || raw.chars().take(MAX_PATH).collect::<String>();
        if raw.starts_with('/') || raw.split('/').any(|word| word == "..") || raw.contains('\0') {
            return self.find(Problem::PathTrick(shown()));
        }
        let what = match kind {
            EntryType::Regular | EntryType::Continuous if raw.ends_with('/') => return,
            EntryType::Directory => return,
            EntryType::Regular | EntryType::Continuous => None,
            EntryType::Link => Some("a hard link"),
            EntryType::Symlink => Some("a link"),
            EntryType::Char | EntryType::Block => Some("a device"),
            EntryType::Fifo => Some("a FIFO"),
            _ => Some("an unusual tar entry"),
        };
        if let Some(kind) = what {
            return self.find(Problem::NotRegular { path: shown(), kind });
        }
        let path = raw.split('/').filter(|word| !matches!(*word, "" | ".")).collect::<Vec<_>>().join("/");
        let is_layout = [spec::LAYOUT_FILE, spec::INDEX_FILE].contains(&path.as_str())
            || path.split('/').next() == Some(spec::BLOBS_DIR);
        // What else an archive carries, such as docker's manifest.json, is no concern of a layout.
        if !is_layout || path.len() > MAX_PATH {
            return;
        }
        if self.index.members.contains_key(&path) {
            return self.find(Problem::Duplicate(path));
        }
        self.index.members.insert(path, range);
    }

    fn find(&mut self, problem: Problem) {
        self.findings.push(Finding { at: "archive".to_owned(), problem });
    }
}

fn is_extension(kind: EntryType) -> bool {
    kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions()
        || kind.is_gnu_longname()
        || kind.is_gnu_longlink()
}

/// The records `<length> <key>=<value>\n`, strictly: what two readers take for two things is refused.
fn pax_records(mut bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let digits = bytes.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
        let record = bytes.get(digits + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.push((&record[..equals], &record[equals + 1..]));
        bytes = &bytes[length..];
    }
    Some(records)
}

/// The sum of all bytes, with the field of the sum itself as spaces.
fn checksum_is_right(block: &[u8; BLOCK as usize]) -> bool {
    let sum = |range: std::ops::Range<usize>| block[range].iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let expected = sum(0..148) + 8 * u32::from(b' ') + sum(156..BLOCK as usize);
    Header::from_byte_slice(block).cksum().is_ok_and(|found| found == expected)
}

fn path_of(header: &Header) -> String {
    String::from_utf8_lossy(&header.path_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_records_are_read_strictly() {
        let good = pax_records(b"10 path=x\n8 a=b\nc\n").unwrap();
        assert_eq!(good, [(&b"path"[..], &b"x"[..]), (b"a", b"b\nc")]);
        for bad in
            ["x", "0 a=b\n", "1 a=b\n", "99 a=b\n", "5 a=b\n", "6 ab=\n\n", "6 abc\n", " a=b\n", "-6 a=b\n"]
        {
            assert!(pax_records(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
