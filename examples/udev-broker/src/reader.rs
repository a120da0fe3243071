//! Reads from a device, and shows bytes to people.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek};

use crate::node::Node;

/// An open device.
pub(crate) struct Reader<F = File> {
    file: F,
    /// Bytes that were read since the start.
    offset: u64,
    room: Vec<u8>,
}

/// What was read at once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Where.
    pub(crate) offset: u64,
    /// What.
    pub(crate) bytes: Vec<u8>,
}

impl Reader {
    /// Opens a device node for reading.
    pub(crate) fn open(node: &Node, bytes: usize) -> io::Result<Self> {
        Ok(Self::new(File::open(node.as_str())?, bytes))
    }
}

impl<F: Read + Seek> Reader<F> {
    fn new(file: F, bytes: usize) -> Self {
        Self { file, offset: 0, room: vec![0; bytes] }
    }

    /// What comes next. Behind the end of a disk comes its beginning.
    ///
    /// An error where the device is empty, or gone.
    pub(crate) fn next(&mut self) -> io::Result<Chunk> {
        let mut count = self.file.read(&mut self.room)?;
        if count == 0 && self.offset > 0 {
            // A device without positions, as a serial line, has come to its end for good: that is what this says then.
            self.file.rewind()?;
            self.offset = 0;
            count = self.file.read(&mut self.room)?;
        }
        if count == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "there is nothing in it"));
        }
        let offset = self.offset;
        self.offset += count as u64;
        Ok(Chunk { offset, bytes: self.room[..count].to_vec() })
    }
}

/// Bytes as numbers, and those that are letters as letters beside them.
pub(crate) fn dump(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 + 2);
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x} ");
    }
    text.push('|');
    text.extend(bytes.iter().map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' }));
    text.push('|');
    text
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn behind_the_end_comes_the_beginning() {
        let mut reader = Reader::new(Cursor::new(b"abcde"), 2);
        let chunks: Vec<(u64, Vec<u8>)> = (0..4)
            .map(|_| {
                let chunk = reader.next().unwrap();
                (chunk.offset, chunk.bytes)
            })
            .collect();
        let expected = [(0, "ab"), (2, "cd"), (4, "e"), (0, "ab")];
        assert_eq!(chunks, expected.map(|(offset, text)| (offset, text.as_bytes().to_vec())));
    }

    #[test]
    fn an_empty_device_is_an_error() {
        let error = Reader::new(Cursor::new(b""), 2).next().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_letter_does_not_reach_the_terminal() {
        assert_eq!(dump(b"ok\x1b[2J\n"), "6f 6b 1b 5b 32 4a 0a |ok.[2J.|");
    }
}
