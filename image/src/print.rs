//! How lengths and strangers' words are printed: no string of a stranger moves the cursor.

use std::fmt::{self, Display, Formatter};

/// A length for people: exact below 10 kB.
pub(crate) struct Bytes(pub u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
        match UNITS.iter().find(|(_, unit)| self.0 >= *unit && self.0 >= 10_000) {
            Some((name, unit)) => {
                let tenths = u128::from(self.0) * 10 / u128::from(*unit);
                write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

/// Untrusted text on one line without control characters, cut at a length that a line can bear.
pub(crate) struct Clean<'a>(pub &'a str);

impl Display for Clean<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 512;
        for letter in self.0.chars().take(LONGEST) {
            // Also what turns the writing direction, by which text can be made to look like other text.
            let turns =
                matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if letter.is_control() || turns {
                write!(f, "{}", letter.escape_unicode())?;
            } else {
                write!(f, "{letter}")?;
            }
        }
        if self.0.chars().nth(LONGEST).is_some() { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_on_its_line() {
        assert_eq!(Clean("a\u{1b}[2J\nb").to_string(), "a\\u{1b}[2J\\u{a}b");
        assert_eq!(Clean(&"x".repeat(600)).to_string().chars().count(), 513);
    }

    #[test]
    fn lengths() {
        for (bytes, text) in [(0, "0 B"), (9_999, "9999 B"), (55_250, "55.2 kB"), (3_000_000, "3.0 MB")] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert!(!Bytes(u64::MAX).to_string().is_empty());
    }
}
