//! The custom section in which WasmEdge keeps native code beside the portable one, as far as it tells what the code is
//! for. Sources: `lib/llvm/codegen.cpp` and `lib/loader/ast/section.cpp` of
//! <https://github.com/WasmEdge/WasmEdge/tree/0.14.1>

use std::fmt;
use std::io::Read;

use crate::platform::Platform;
use crate::spec;

/// As many bytes as are looked at: a number of 32 bits in LEB128, and one byte each for system and architecture.
pub(super) const HEAD: usize = 5 + 2;

/// Native code that WasmEdge compiled ahead of time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AotSection {
    /// The length of the section in bytes.
    pub size: u64,
    /// The version of the section's form; 0.14 and older read 1.
    pub version: Option<u32>,
    /// The operating system, in Go's words.
    pub os: Option<&'static str>,
    /// The architecture, in Go's words.
    pub architecture: Option<&'static str>,
}

impl AotSection {
    /// Reads the head of a section that has `size` bytes; what it does not know stays `None`.
    pub(crate) fn read(mut head: impl Read, size: u64) -> Self {
        let mut bytes = Vec::new();
        // What cannot be read is as good as not there.
        let _ = head.by_ref().take(HEAD as u64).read_to_end(&mut bytes);
        let mut version = 0u64;
        let mut length = None;
        for (number, byte) in bytes.iter().take(5).enumerate() {
            version |= u64::from(byte & 0x7f) << (7 * number);
            if byte & 0x80 == 0 {
                length = Some(number + 1);
                break;
            }
        }
        let after = |place: usize| length.and_then(|length| bytes.get(length + place).copied());
        Self {
            size,
            version: length.and_then(|_| u32::try_from(version).ok()),
            os: after(0).and_then(|number| word(&spec::AOT_SYSTEMS, number)),
            architecture: after(1).and_then(|number| word(&spec::AOT_ARCHITECTURES, number)),
        }
    }

    /// The platform that the code is for, if it is one that images are for.
    pub fn platform(&self) -> Option<Platform> {
        self.architecture.filter(|_| self.os == Some("linux")).map(Platform::linux)
    }

    /// Which releases of WasmEdge read this version.
    fn releases(&self) -> &'static str {
        match self.version {
            Some(1) => "WasmEdge up to 0.14",
            Some(2) => "WasmEdge 0.15 to 0.17",
            Some(_) => "a newer WasmEdge",
            None => "an unknown engine",
        }
    }
}

/// The word for a number of that section.
fn word(words: &[(u8, &'static str)], number: u8) -> Option<&'static str> {
    words.iter().find(|(known, _)| *known == number).map(|(_, word)| *word)
}

impl fmt::Display for AotSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = "unknown";
        let (os, architecture) = (self.os.unwrap_or(unknown), self.architecture.unwrap_or(unknown));
        write!(f, "native code for {os}/{architecture}, {} bytes, for {}", self.size, self.releases())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let read = |bytes: &[u8]| AotSection::read(bytes, 9);
        let good = read(&[1, 1, 2, 0xff]);
        assert_eq!((good.version, good.os, good.architecture), (Some(1), Some("linux"), Some("arm64")));
        assert!(good.to_string().contains("linux/arm64"));
        let newer = read(&[0x83, 0, 2, 9]);
        assert_eq!((newer.version, newer.os, newer.architecture), (Some(3), Some("darwin"), None));
        for bytes in [&[][..], &[0x80], &[0xff; 9]] {
            assert_eq!(read(bytes).version, None, "{bytes:?}");
        }
    }
}
