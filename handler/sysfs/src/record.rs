//! What udev's database says of a device: one small file each, its lines a letter, a colon and a text.

use crate::compare::{begins, find};

/// The record of a device, as it is: mostly one thing is asked of it, once. An empty one where udev has none.
#[derive(Debug, Default)]
pub(crate) struct Record(String);

impl Record {
    /// The record with this text. Lines of kinds that are not asked for are none of ours.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// Names and values of `E:` lines, in their order, the last value of each name being the one that holds. An empty one
    /// takes the property away, for udev as well.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines("E:").filter_map(|line| line.split_once('='))
    }

    /// The value of a property.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        let values = self.lines("E:").filter_map(|line| value(line, name));
        values.last().filter(|value| !value.is_empty())
    }

    /// Every tag that the device ever had since it was plugged in: `G:` lines.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        self.lines("G:")
    }

    /// The tags that it has now: `Q:` lines.
    pub(crate) fn current_tags(&self) -> impl Iterator<Item = &str> {
        self.lines("Q:")
    }

    /// Names below `/dev` that link to its node: `S:` lines.
    pub(crate) fn links(&self) -> impl Iterator<Item = &str> {
        self.lines("S:")
    }

    /// When udev first saw it, in microseconds since the boot: the `I:` line.
    pub(crate) fn initialized(&self) -> Option<&str> {
        self.lines("I:").last()
    }

    /// What stands behind a letter and a colon.
    fn lines(&self, kind: &'static str) -> impl Iterator<Item = &str> {
        lines(&self.0).filter(move |line| begins(line, kind)).filter_map(|line| line.get(2..))
    }
}

/// What stands behind this name and an equals sign.
pub(crate) fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    // The sign first: it is not there in most lines of other names.
    let is_there = line.as_bytes().get(name.len()) == Some(&b'=');
    line.get(name.len() + 1..).filter(|_| is_there && begins(line, name))
}

/// The lines of a text, as `str::lines` has them.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(end) = find(rest, b'\n') else { return Some(std::mem::take(&mut rest)) };
        let (line, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        Some(line.strip_suffix('\r').unwrap_or(line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let text = "S:disk/by-id/x\nI:12\nE:ID_A=1\nE:ID_B=x=y\nE:ID_A=\nE:odd\nE:ID_C=1\nE:ID_C=2\nG:systemd\nQ:now\nV:1\nW:3\nnonsense\n";
        let record = Record::new(text.to_owned());
        let all: Vec<_> = record.properties().collect();
        assert_eq!(all, [("ID_A", "1"), ("ID_B", "x=y"), ("ID_A", ""), ("ID_C", "1"), ("ID_C", "2")]);
        let one = |name| record.property(name);
        assert_eq!((one("ID_A"), one("ID_B"), one("ID_C")), (None, Some("x=y"), Some("2")));
        assert_eq!((one("ID"), one("odd"), one("")), (None, None, None));
        assert_eq!(record.tags().chain(record.current_tags()).collect::<Vec<_>>(), ["systemd", "now"]);
        assert_eq!((record.links().next(), record.initialized()), (Some("disk/by-id/x"), Some("12")));
    }

    #[test]
    fn lines_are_those_of_std() {
        for text in ["", "\n", "a", "a\n", "a\r\nb\r", "\n\na\n\n", "\r\n", "é\n\u{2028}\r\r\n"] {
            assert_eq!(lines(text).collect::<Vec<_>>(), text.lines().collect::<Vec<_>>(), "{text:?}");
        }
    }
}
