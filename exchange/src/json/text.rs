//! Bytes of text, looked at eight at a time: a guest is interpreted, and every instruction counts there.

/// One in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of each byte.
const TOPS: u64 = ONES << 7;

/// How many bytes at the beginning stand for themselves in a JSON string: neither a quote, nor a backslash, nor a
/// control character.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    let mut length = 0;
    for chunk in bytes.chunks_exact(8) {
        if has_special(word(chunk)) {
            break;
        }
        length += 8;
    }
    let special = |&byte: &u8| byte < b' ' || byte == b'"' || byte == b'\\';
    length + bytes[length..].iter().position(special).unwrap_or(bytes.len() - length)
}

/// Whether there is a control character, those beyond ASCII among them.
pub(crate) fn has_control(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (chunks, rest) = bytes.split_at(bytes.len() & !7);
    // Whatever is suspicious, all that is not ASCII too, is worth the slow way.
    let suspicious = |chunk: &[u8]| {
        let word = word(chunk);
        (word | below(word, b' ') | below(word ^ (ONES * 0x7f), 1)) & TOPS != 0
    };
    let plain = |byte: &u8| (b' '..0x7f).contains(byte);
    let plain = !chunks.chunks_exact(8).any(suspicious) && rest.iter().all(plain);
    !plain && text.chars().any(char::is_control)
}

fn word(chunk: &[u8]) -> u64 {
    chunk.try_into().map_or(0, u64::from_le_bytes)
}

fn has_special(word: u64) -> bool {
    let quote = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
    (quote | backslash | below(word, b' ')) & TOPS != 0
}

/// Sets the top bit of bytes less than `bound` (and, behind such a one, perhaps of others): so the result is zero at the
/// tops where there is none. Bytes of 128 and more do not count.
fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(bound)) & !word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255 {
            for place in 0..19 {
                let mut bytes = *b"abcdefgh\x7f\xc3\xa4~ !#[]xy";
                bytes[place] = byte;
                let special = byte < b' ' || byte == b'"' || byte == b'\\';
                assert_eq!(plain_prefix(&bytes), if special { place } else { 19 }, "{byte} at {place}");
            }
        }
        assert_eq!(plain_prefix(b""), 0);
    }

    #[test]
    fn control_characters_are_those_of_unicode() {
        for letter in (0..0x800).filter_map(char::from_u32) {
            for place in 0..10 {
                let text = format!("{}{letter}{}", &"abcdefghij"[..place], &"abcdefghij"[place..]);
                assert_eq!(has_control(&text), letter.is_control(), "{letter:?} at {place}");
            }
        }
    }
}
