//! How texts are told apart, put in order and searched: eight bytes at a time.
//!
//! The paths of devices begin alike for most of their length. std compares byte by byte in WebAssembly, and an engine that
//! interprets would spend half of a look with that. For a byte std looks quickly, but prepares longer than names are.

use std::cmp::Ordering;

/// The order of two texts: that of their bytes, as `str` has it.
pub(crate) fn order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let (Some((one, behind_a)), Some((other, behind_b))) =
        (a.split_first_chunk(), b.split_first_chunk())
    {
        let (one, other) = (u64::from_le_bytes(*one), u64::from_le_bytes(*other));
        if one != other {
            let first = (one ^ other).trailing_zeros() & !7;
            return (one >> first & 0xff).cmp(&(other >> first & 0xff));
        }
        (a, b) = (behind_a, behind_b);
    }
    for (one, other) in a.iter().zip(b) {
        if one != other {
            return one.cmp(other);
        }
    }
    a.len().cmp(&b.len())
}

/// Whether two texts are equal.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && begins(a, b)
}

/// Whether a text begins with another one.
pub(crate) fn begins(text: &str, with: &str) -> bool {
    let (mut text, mut with) = (text.as_bytes(), with.as_bytes());
    while let (Some((one, behind_text)), Some((other, behind_with))) =
        (text.split_first_chunk::<8>(), with.split_first_chunk::<8>())
    {
        if u64::from_ne_bytes(*one) != u64::from_ne_bytes(*other) {
            return false;
        }
        (text, with) = (behind_text, behind_with);
    }
    text.len() >= with.len() && text.iter().zip(with).all(|(one, other)| one == other)
}

/// A number that differs, most likely, where texts differ.
pub(crate) fn hash(text: &str) -> u32 {
    /// The golden ratio's digits: odd, and without a pattern.
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(MIX);
        mixed ^ mixed >> 29
    };
    let (mut hash, mut rest) = (text.len() as u64, text.as_bytes());
    while let Some((word, behind)) = rest.split_first_chunk() {
        hash = step(hash, u64::from_le_bytes(*word));
        rest = behind;
    }
    let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    // Its upper half: where products are well mixed.
    (step(hash, last) >> 32) as u32
}

/// Where a byte is for the first time.
pub(crate) fn find(text: &str, byte: u8) -> Option<usize> {
    let mut rest = text.as_bytes();
    while let Some((word, behind)) = rest.split_first_chunk() {
        let found = places(*word, byte);
        if found != 0 {
            return Some(text.len() - rest.len() + found.trailing_zeros() as usize / 8);
        }
        rest = behind;
    }
    rest.iter().position(|other| *other == byte).map(|at| text.len() - rest.len() + at)
}

/// Where a byte is for the last time.
pub(crate) fn find_last(text: &str, byte: u8) -> Option<usize> {
    let mut rest = text.as_bytes();
    while let Some((before, word)) = rest.split_last_chunk() {
        let found = places(*word, byte);
        if found != 0 {
            return Some(rest.len() - 1 - found.leading_zeros() as usize / 8);
        }
        rest = before;
    }
    rest.iter().rposition(|other| *other == byte)
}

/// The highest bit of each byte that is this one.
fn places(word: [u8; 8], byte: u8) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    let unlike = u64::from_le_bytes(word) ^ u64::from_ne_bytes([byte; 8]);
    // Adding sets the highest bit where any of the lower ones is set, and never carries into the next byte.
    !(((unlike & LOW) + LOW) | unlike | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_std_has_it() {
        let texts = [
            "",
            "a",
            "b",
            "ab",
            "/devices/a",
            "/devices/b",
            "/devices/virtual/tty/tty1",
            "/devices/virtual/tty/tty10",
            "/devices/virtual/tty/tty2",
            "/devices/virtual/ttx",
            "12345678",
            "123456789",
            "12345678é",
            "é",
        ];
        for a in texts {
            for b in texts {
                assert_eq!(order(a, b), a.cmp(b), "{a} {b}");
                assert_eq!((same(a, b), begins(a, b)), (a == b, a.starts_with(b)), "{a} {b}");
                assert_eq!(hash(a) == hash(b), a == b, "{a} {b}");
            }
            for byte in [b'/', b'1', b'y', b'8', 0x80, 0xa9, 0xc3, 0, 0xff] {
                let (first, last) =
                    (a.bytes().position(|other| other == byte), a.bytes().rposition(|other| other == byte));
                assert_eq!((find(a, byte), find_last(a, byte)), (first, last), "{byte} in {a}");
            }
        }
    }
}
