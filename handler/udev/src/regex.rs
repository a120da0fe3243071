//! The regular expressions of the native handler, as far as a rule's characters go: no groups, no `+`, no `^`.
//!
//! A value has to match from its beginning to its end. All ways are followed at once, so that no pattern takes long.

use crate::glob::holds;

/// Steps of a compiled pattern; `{n}` makes many.
const MOST_STEPS: usize = 4096;
/// The largest `n` in `{n}`.
const MOST_TIMES: usize = 1000;
/// Brackets within brackets.
const DEEPEST: usize = 8;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Regex {
    alternatives: Vec<Vec<Step>>,
}

/// One step: what to match, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    what: What,
    times: Times,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Maybe,
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// Everything but the end of a line.
    Dot,
    Char(char),
    Class(Class),
    /// `$`, `\z` and `\A`: true where the text ends, or begins.
    End,
    Start,
    /// `\b` and `\B`.
    Boundary(bool),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Class {
    ranges: Vec<(char, char)>,
    /// `\D` and its like within brackets, and classes within classes.
    inner: Vec<(Class, bool)>,
}

/// Where in the pattern something is wrong, in bytes, and what.
type Problem = (usize, String);

impl Regex {
    /// Compiles.
    pub(crate) fn new(pattern: &str) -> Result<Self, Problem> {
        let mut compiler = Compiler { pattern, at: 0, steps: 0 };
        let mut alternatives = vec![Vec::new()];
        while let Some(c) = compiler.next() {
            if c == '|' {
                alternatives.push(Vec::new());
                continue;
            }
            let what = compiler.what(c)?;
            if let Some(steps) = alternatives.last_mut() {
                compiler.repeated(what, steps)?;
            }
        }
        Ok(Self { alternatives })
    }

    /// Whether the whole of `text` matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.alternatives.iter().any(|steps| matches(steps, text))
    }
}

fn matches(steps: &[Step], text: &str) -> bool {
    // Where in the steps one can be; the last place is behind them all.
    let mut places = vec![false; steps.len() + 1];
    places[0] = true;
    let mut before = None;
    let mut rest = text.chars();
    loop {
        let next = rest.clone().next();
        // Steps that need no character are taken at once. They only lead on, so one pass is enough.
        for (i, step) in steps.iter().enumerate() {
            let skips = step.times != Times::Once || step.what.holds_between(before, next);
            places[i + 1] |= places[i] && skips;
        }
        let Some(c) = rest.next() else { return places[steps.len()] };
        let mut reached = vec![false; steps.len() + 1];
        for (i, step) in steps.iter().enumerate().filter(|(i, _)| places[*i]) {
            if step.what.takes(c) {
                reached[if step.times == Times::Any { i } else { i + 1 }] = true;
            }
        }
        if !reached.contains(&true) {
            return false;
        }
        places = reached;
        before = Some(c);
    }
}

impl What {
    fn takes(&self, c: char) -> bool {
        match self {
            What::Dot => c != '\n',
            What::Char(other) => *other == c,
            What::Class(class) => class.has(c),
            What::End | What::Start | What::Boundary(_) => false,
        }
    }

    /// Whether it is true of a place in the text, and so needs no character.
    fn holds_between(&self, before: Option<char>, next: Option<char>) -> bool {
        match self {
            What::End => next.is_none(),
            What::Start => before.is_none(),
            What::Boundary(wanted) => {
                let is_word = |c: Option<char>| c.is_some_and(|c| word().has(c));
                (is_word(before) != is_word(next)) == *wanted
            }
            _ => false,
        }
    }
}

impl Class {
    fn of(ranges: &[(char, char)]) -> Self {
        Self { ranges: ranges.to_vec(), inner: Vec::new() }
    }

    fn not(self) -> Self {
        Self { ranges: Vec::new(), inner: vec![(self, false)] }
    }

    fn has(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
            || self.inner.iter().any(|(class, wanted)| class.has(c) == *wanted)
    }
}

fn word() -> Class {
    // Letters beyond ASCII are all counted as such: kernel and udev write none.
    Class::of(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z'), ('\u{aa}', char::MAX)])
}

struct Compiler<'a> {
    pattern: &'a str,
    at: usize,
    steps: usize,
}

impl Compiler<'_> {
    fn peek(&self) -> Option<char> {
        self.pattern.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, text: &str) -> bool {
        let is_next = self.pattern.get(self.at..).is_some_and(|rest| rest.starts_with(text));
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    fn problem<T>(&self, at: usize, problem: &str) -> Result<T, Problem> {
        Err((at, format!("{problem} (the value of this field is a regular expression)")))
    }

    fn what(&mut self, c: char) -> Result<What, Problem> {
        let at = self.at - c.len_utf8();
        Ok(match c {
            '.' => What::Dot,
            '$' => What::End,
            '[' => What::Class(self.class(at, 1)?),
            '\\' => self.escape(at)?,
            '*' | '?' | '{' => return self.problem(at, &format!("there is nothing to repeat before '{c}'")),
            other => What::Char(other),
        })
    }

    fn escape(&mut self, at: usize) -> Result<What, Problem> {
        let Some(c) = self.next() else { return self.problem(at, "a backslash ends the value") };
        Ok(match c {
            'd' => What::Class(Class::of(&[('0', '9')])),
            'D' => What::Class(Class::of(&[('0', '9')]).not()),
            'w' => What::Class(word()),
            'W' => What::Class(word().not()),
            's' => What::Class(space()),
            'S' => What::Class(space().not()),
            'A' => What::Start,
            'z' => What::End,
            'b' => What::Boundary(true),
            'B' => What::Boundary(false),
            'n' => What::Char('\n'),
            't' => What::Char('\t'),
            'r' => What::Char('\r'),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => What::Char(c),
            c => return self.problem(at, &format!("'\\{c}' is not understood")),
        })
    }

    fn class(&mut self, open: usize, depth: usize) -> Result<Class, Problem> {
        if depth > DEEPEST {
            return self.problem(open, "brackets are nested too deeply");
        }
        let mut class = Class::default();
        let mut first = true;
        loop {
            let at = self.at;
            let Some(c) = self.next() else { return self.problem(open, "the bracket is not closed") };
            match c {
                ']' if !first => return Ok(class),
                '[' => {
                    let inner = self.named().map_or_else(|| self.class(at, depth + 1), Ok)?;
                    class.inner.push((inner, true));
                }
                '-' if self.peek() == Some('-') && !first => {
                    return self.problem(at, "'--' within brackets is not understood");
                }
                _ => match self.item(c, at)? {
                    What::Class(inner) => class.inner.push((inner, true)),
                    What::Char(low) => {
                        let high = self.range_end(at)?.unwrap_or(low);
                        if low > high {
                            return self.problem(at, "the range runs backwards");
                        }
                        class.ranges.push((low, high));
                    }
                    _ => return self.problem(at, "this cannot stand within brackets"),
                },
            }
            first = false;
        }
    }

    fn item(&mut self, c: char, at: usize) -> Result<What, Problem> {
        if c == '\\' { self.escape(at) } else { Ok(What::Char(c)) }
    }

    /// The end of a range, where one goes on here. A `-` before the closing bracket is only that.
    fn range_end(&mut self, at: usize) -> Result<Option<char>, Problem> {
        let ahead = self.pattern.get(self.at..).unwrap_or_default();
        if !ahead.starts_with('-') || ahead.starts_with("-]") || ahead.starts_with("--") {
            return Ok(None);
        }
        self.next();
        let Some(c) = self.next() else { return Ok(None) };
        match self.item(c, at)? {
            What::Char(high) => Ok(Some(high)),
            _ => self.problem(at, "a range ends with a single character"),
        }
    }

    /// `[:alpha:]` and its like, from behind the first bracket.
    fn named(&mut self) -> Option<Class> {
        let rest = self.pattern.get(self.at..)?.strip_prefix(':')?;
        let name = rest.get(..rest.find(":]")?)?;
        let ranges = match name {
            "word" => word().ranges,
            "ascii" => vec![('\0', '\u{7f}')],
            name => {
                holds(name.as_bytes(), 0)?;
                let all = (0..=0x7f_u8).filter(|byte| holds(name.as_bytes(), *byte) == Some(true));
                all.map(|byte| (char::from(byte), char::from(byte))).collect()
            }
        };
        self.at += name.len() + 3;
        Some(Class { ranges, inner: Vec::new() })
    }

    /// Adds a step as often as what follows it says.
    fn repeated(&mut self, what: What, steps: &mut Vec<Step>) -> Result<(), Problem> {
        let mut last = vec![Step { what, times: Times::Once }];
        loop {
            let at = self.at;
            let times = match self.peek() {
                Some('*') => Times::Any,
                Some('?') => Times::Maybe,
                Some('{') => {
                    let count = self.count()?;
                    // A whole run repeated again is only its product.
                    last = last.iter().cycle().take(last.len().saturating_mul(count)).cloned().collect();
                    self.bounded(at, steps.len() + last.len())?;
                    continue;
                }
                _ => break,
            };
            self.next();
            // A `?` behind another sign says to match little; for a whole match that is all the same.
            self.take("?");
            match last.as_mut_slice() {
                [one] if one.times != Times::Any => one.times = times,
                [_] | [] => {}
                _ => return self.problem(at, "a counted run cannot be repeated again"),
            }
        }
        self.steps += last.len();
        self.bounded(self.at, self.steps)?;
        steps.append(&mut last);
        Ok(())
    }

    fn bounded(&self, at: usize, steps: usize) -> Result<(), Problem> {
        if steps > MOST_STEPS { self.problem(at, "the pattern is too long") } else { Ok(()) }
    }

    /// `{n}`.
    fn count(&mut self) -> Result<usize, Problem> {
        let at = self.at;
        self.next();
        let rest = self.pattern.get(self.at..).unwrap_or_default();
        let number = rest.split('}').next().unwrap_or_default();
        let count = number.trim().parse().ok().filter(|count| *count <= MOST_TIMES);
        match count {
            Some(count) if rest.len() > number.len() => {
                self.at += number.len() + 1;
                self.take("?");
                Ok(count)
            }
            _ => self.problem(at, &format!("expected a number up to {MOST_TIMES} and '}}'")),
        }
    }
}

fn space() -> Class {
    Class::of(&[('\t', '\r'), (' ', ' '), ('\u{85}', '\u{85}'), ('\u{a0}', '\u{a0}')])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_value_has_to_match() {
        for (pattern, yes, no) in [
            ("usb", "usb", "usb1"),
            ("usb[0-9]*", "usb10", "xusb1"),
            ("usb.*", "usb1-1", "us"),
            ("loop*", "loopp", "loop0"),
            ("a?b", "b", "aab"),
            ("a|ab", "ab", "b"),
            ("", "", "x"),
            ("0x[[:xdigit:]]{4}", "0x80eF", "0x80e"),
            ("\\d\\d", "12", "1a"),
            ("\\.", ".", "x"),
            ("ab$", "ab", "abc"),
            ("$", "", "a"),
            ("a$b", "", ""),
            ("[]a]*", "]a", "b"),
            ("[a-]", "-", "b"),
            ("[a[b-c]]*", "abc", "d"),
            ("[\\d_]*", "1_2", "a"),
            ("\\bab\\b", "ab", "a"),
            ("a*?b??", "aab", "abb"),
            ("%k:{0}}", "%k}", "%k:}"),
            ("a{3}", "aaa", "aa"),
            (".*", "ä/ö", "\n"),
        ] {
            let regex = Regex::new(pattern).unwrap_or_else(|problem| panic!("{pattern}: {problem:?}"));
            assert!(pattern == "a$b" || regex.matches(yes), "{pattern} {yes}");
            assert!(!regex.matches(no), "{pattern} {no}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (pattern, at) in [
            ("*", 0),
            ("a|*", 2),
            ("a[b", 1),
            ("a{x}", 1),
            ("a{", 1),
            ("{2}", 0),
            ("a\\", 1),
            ("\\p{L}", 0),
            ("[b-a]", 1),
            ("a{1001}", 1),
            ("[a--b]", 2),
        ] {
            assert_eq!(Regex::new(pattern).map_err(|(at, _)| at), Err(at), "{pattern}");
        }
        assert!(Regex::new(&"a{1000}".repeat(5)).is_err());
        assert!(Regex::new(&"[".repeat(100)).is_err());
    }

    #[test]
    fn hostile_patterns_end_soon() {
        let regex = Regex::new(&"a*".repeat(1000)).unwrap();
        assert!(!regex.matches(&format!("{}b", "a".repeat(1000))));
    }
}
