//! How long and how large: `30s`, `64MiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The unit of a module's memory. <https://webassembly.github.io/spec/core/exec/runtime.html#page-size>
const PAGE: u64 = 64 * 1024;
/// Most pages that a module with 32-bit addresses can have. Same source.
const MAX_PAGES: u64 = 65_536;

/// A number of bytes, at least a page of WebAssembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(u64);

/// A length of time above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit(Duration);

/// Why a string is no limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// No number of bytes.
    #[error("size {0:?} is invalid: expected at least 64KiB, in bytes, KiB, MiB or GiB, such as 64MiB")]
    Size(String),
    /// No length of time.
    #[error("time {0:?} is invalid: expected a whole number above 0 with ms, s, m or h, such as 30s")]
    Time(String),
}

impl ByteSize {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// In whole pages of WebAssembly.
    pub fn pages(self) -> u32 {
        u32::try_from((self.0 / PAGE).min(MAX_PAGES)).expect("the bound fits")
    }
}

impl FromStr for ByteSize {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
        let bytes = scaled(text, &units).filter(|bytes| *bytes >= PAGE);
        bytes.map(Self).ok_or_else(|| LimitError::Size(text.to_owned()))
    }
}

impl TimeLimit {
    /// As the standard library has it.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for TimeLimit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
        let milliseconds = scaled(text, &units).filter(|value| *value > 0);
        let time = milliseconds.map(|value| Self(Duration::from_millis(value)));
        time.ok_or_else(|| LimitError::Time(text.to_owned()))
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl serde::Serialize for TimeLimit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A whole number with one of the units, of which the first that fits counts.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, factor)))?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("64MiB", 64 << 20), ("65536", 65_536), ("64KiB", 65_536), ("2GiB", 2 << 30)] {
            assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes);
        }
        assert_eq!("65537".parse::<ByteSize>().unwrap().pages(), 1);
        assert_eq!("9GiB".parse::<ByteSize>().unwrap().pages(), 65_536);
        for text in ["", "MiB", "1", "63KiB", "64MB", "-64MiB", "+64MiB", "1.5MiB", "99999999999999999GiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, milliseconds) in [("30s", 30_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(text.parse::<TimeLimit>().unwrap().duration().as_millis(), milliseconds);
        }
        for text in ["", "30", "0s", "-1s", "s", "1d", "1.5s", "99999999999999999999s"] {
            assert!(text.parse::<TimeLimit>().is_err(), "{text}");
        }
    }
}
