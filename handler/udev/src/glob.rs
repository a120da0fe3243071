//! The patterns that udev itself matches with: a shell's, byte for byte, where `*` also matches `/`.

/// A pattern, or several with `|` between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    pattern: String,
    /// Whether there are several. Most patterns are one, and most texts that are held against them are not it.
    is_several: bool,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self { pattern: pattern.to_owned(), is_several: pattern.contains('|') }
    }

    /// Whether a text has anything of a pattern in it, but for alternatives.
    pub(crate) fn is_pattern(text: &str) -> bool {
        text.bytes().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
    }

    /// The texts that it stands for, where it has nothing of a pattern in it.
    pub(crate) fn literals(&self) -> Option<impl Iterator<Item = &str>> {
        (!Self::is_pattern(&self.pattern)).then(|| std::iter::once(&*self.pattern).chain(self.alternatives()))
    }

    /// Whether the whole of `text` matches. A `|` may also stand for itself, as it does in the C library's `fnmatch`.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let one = |pattern: &str| matches(pattern.as_bytes(), text.as_bytes());
        one(&self.pattern) || self.is_several && self.alternatives().any(one)
    }

    fn alternatives(&self) -> impl Iterator<Item = &str> {
        // None where there is only one.
        self.pattern.split('|').filter(|part| part.len() < self.pattern.len())
    }
}

/// One step for each byte and one way back, to the last star: at most the product of both lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            back = Some((p, t));
        } else if let Some(next) = step(pattern, p, text[t]) {
            p = next;
            t += 1;
        } else if let Some((star, from)) = back {
            (p, t) = (star, from + 1);
            back = Some((star, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Where the pattern goes on when `byte` matches what is at `p`.
fn step(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => match class(pattern, p + 1, byte) {
            Some((next, matches)) => matches.then_some(next),
            // Without an end it is only a bracket.
            None => (byte == b'[').then_some(p + 1),
        },
        b'\\' => (*pattern.get(p + 1)? == byte).then_some(p + 2),
        other => (other == byte).then_some(p + 1),
    }
}

/// A bracket's contents, from behind the bracket: where the pattern goes on, and whether `byte` is in it.
fn class(pattern: &[u8], start: usize, byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(start), Some(b'!' | b'^'));
    let (mut p, mut found) = (start + usize::from(negated), false);
    let first = p;
    loop {
        if pattern.get(p) == Some(&b']') && p > first {
            return Some((p + 1, found != negated));
        }
        if let Some((next, holds)) = named(pattern, p, byte) {
            found |= holds;
            p = next;
            continue;
        }
        let (low, next) = single(pattern, p)?;
        p = next;
        match (pattern.get(p), pattern.get(p + 1)) {
            (Some(b'-'), Some(end)) if *end != b']' => {
                let (high, next) = single(pattern, p + 1)?;
                found |= (low..=high).contains(&byte);
                p = next;
            }
            _ => found |= low == byte,
        }
    }
}

fn single(pattern: &[u8], p: usize) -> Option<(u8, usize)> {
    match *pattern.get(p)? {
        b'\\' => Some((*pattern.get(p + 1)?, p + 2)),
        byte => Some((byte, p + 1)),
    }
}

/// `[:alpha:]` and its like.
fn named(pattern: &[u8], p: usize, byte: u8) -> Option<(usize, bool)> {
    let rest = pattern.get(p..)?.strip_prefix(b"[:")?;
    let end = rest.windows(2).position(|pair| pair == b":]")?;
    Some((p + 2 + end + 2, holds(&rest[..end], byte)?))
}

/// Whether a byte is of the class of that name; `None` for a name that is none.
pub(crate) fn holds(class: &[u8], byte: u8) -> Option<bool> {
    Some(match class {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_fnmatch_has_it() {
        for (pattern, yes, no) in [
            ("video0", "video0", "video00"),
            ("video[0-9]*", "video10", "videox"),
            ("video?", "video1", "video"),
            ("*", "", "-"),
            ("a*b*c", "aXbYbZc", "aXbYbZ"),
            ("[[:digit:]]*", "1a", "a1"),
            ("[!a]", "b", "a"),
            ("[]a]", "]", "b"),
            ("[a-]", "-", "b"),
            ("\\*", "*", "x"),
            ("[\\]]", "]", "\\"),
            ("[a", "[a", "a"),
            ("", "", "x"),
            ("a|b*", "bcd", "c"),
            ("a|b", "a|b", "ab"),
            ("/devices/*/tty", "/devices/a/b/tty", "/devices/tty"),
        ] {
            assert!(Glob::new(pattern).matches(yes), "{pattern} {yes}");
            assert!(pattern == "*" || !Glob::new(pattern).matches(no), "{pattern} {no}");
        }
        let literals = |pattern| Glob::new(pattern).literals().map(|all| all.map(str::to_owned).collect());
        assert_eq!(literals("a"), Some(vec!["a".to_owned()]));
        assert_eq!(literals("a|b"), Some(vec!["a|b".to_owned(), "a".to_owned(), "b".to_owned()]));
        assert_eq!(literals("a*"), None);
    }

    #[test]
    fn hostile_patterns_end_soon() {
        let pattern = "*a".repeat(200);
        assert!(!Glob::new(&pattern).matches(&"a".repeat(199)));
        assert!(!Glob::new(&"*a*b".repeat(500)).matches(&"a".repeat(4000)));
    }
}
