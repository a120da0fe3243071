//! Patterns of host paths and of property names. Small on purpose: who reads a policy has to see what it lets through.

use std::fmt;
use std::marker::PhantomData;
use std::path::{Component, Path};
use std::str::FromStr;

use akri_exchange::limits;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What a last part of a path pattern stands for everything below with.
const BELOW: &str = "**";
/// What stands for any characters within a part of a path, or within a name.
const ANY: char = '*';

/// Absolute paths of the node. `*` stands for any characters within a part; `**`, as the last part, for everything below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct PathPattern {
    text: String,
    parts: Vec<String>,
    below: bool,
}

/// Names of device properties. `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct NamePattern(String);

/// A text that is no pattern.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} {text:?} {rule}")]
pub struct PatternError {
    what: &'static str,
    text: String,
    rule: &'static str,
}

impl PathPattern {
    /// Whether a path is one of these. One that is not absolute, or has `..` in it, never is.
    pub fn covers(&self, path: &str) -> bool {
        let mut parts = Vec::new();
        for component in Path::new(path).components() {
            match component {
                Component::RootDir => {}
                Component::Normal(part) => parts.extend(part.to_str()),
                _ => return false,
            }
        }
        if !path.starts_with('/') {
            return false;
        }
        let enough =
            if self.below { parts.len() > self.parts.len() } else { parts.len() == self.parts.len() };
        enough && self.parts.iter().zip(parts).all(|(pattern, part)| matches(pattern, part))
    }
}

impl NamePattern {
    /// Whether a name is one of these.
    pub fn covers(&self, name: &str) -> bool {
        matches(&self.0, name)
    }
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let wrong = |rule| PatternError { what: "the path pattern", text: text.to_owned(), rule };
        if text.len() > limits::PATH_BYTES {
            return Err(wrong("is longer than a path can be"));
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(wrong("is not absolute: begin it with /"));
        };
        if text.chars().any(char::is_control) {
            return Err(wrong("has control characters in it"));
        }
        let mut parts: Vec<String> = rest.split('/').map(str::to_owned).collect();
        let below = parts.last().is_some_and(|part| part == BELOW);
        if below {
            parts.pop();
        }
        if parts.iter().any(|part| part.contains(BELOW)) {
            return Err(wrong("has ** in another place than as its whole last part"));
        }
        if parts.iter().any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(wrong("has an empty part, a final /, '.' or '..' in it"));
        }
        Ok(Self { text: text.to_owned(), parts, below })
    }
}

impl FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let wrong = |rule| PatternError { what: "the property name pattern", text: text.to_owned(), rule };
        if text.is_empty() || text.len() > limits::PROPERTY_NAME_BYTES {
            return Err(wrong("is empty, or longer than a name can be"));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ANY);
        if !text.chars().all(fits) {
            return Err(wrong("has more in it than letters, digits, '-', '_', '.' and '*'"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// Reads a text into a type while the reader still stands at it, so that an error names its field and line.
pub(super) fn parsed<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<T, D::Error>
where
    T::Err: fmt::Display,
{
    struct Text<T>(PhantomData<T>);
    impl<T: FromStr> Visitor<'_> for Text<T>
    where
        T::Err: fmt::Display,
    {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Text(PhantomData))
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.text
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is what a pattern with any number of `*` stands for. Takes time in proportion to both lengths at most:
/// the text is the handler's.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and how much of the text it has swallowed so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        // A star first: the text may hold one as well.
        if pattern.get(p) == Some(&(ANY as u8)) {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, swallowed)) = star {
            star = Some((at, swallowed + 1));
            (p, t) = (at + 1, swallowed + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == ANY as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> PathPattern {
        text.parse().unwrap()
    }

    #[test]
    fn paths_are_covered_part_by_part() {
        for (pattern, covered, others) in [
            ("/dev/**", &["/dev/video0", "/dev/bus/usb/001"][..], &["/dev", "/devil/x", "/etc"][..]),
            ("/dev/video*", &["/dev/video", "/dev/video12"], &["/dev/video1/x", "/dev/avideo", "/dev/vide"]),
            (
                "/dev/bus/*/00*",
                &["/dev/bus/usb/001"],
                &["/dev/bus/001", "/dev/bus/usb/1", "/dev/bus/usb/x/001"],
            ),
            ("/dev/*/event*1", &["/dev/input/event1", "/dev/input/event11"], &["/dev/input/event12"]),
            ("/**", &["/etc/shadow"], &["/", "etc/shadow"]),
            ("/srv", &["/srv"], &["/srv/x", "/srvx", "/"]),
        ] {
            for good in covered {
                assert!(path(pattern).covers(good), "{pattern} {good}");
            }
            for bad in others.iter().chain(&["/dev/../etc/shadow", "dev/video0", "", "../dev/video0"]) {
                assert!(!path(pattern).covers(bad), "{pattern} {bad}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_rule() {
        for bad in ["", "dev", "/", "/dev/", "/dev//x", "/dev/../x", "/dev/**/x", "/dev/a**", "/a\nb"] {
            assert!(bad.parse::<PathPattern>().is_err(), "{bad:?}");
        }
        let error = "/dev/**/x".parse::<PathPattern>().unwrap_err().to_string();
        assert!(error.contains("/dev/**/x") && error.contains("last part"), "{error}");
        for bad in ["", "A=B", "a b", "ä", "a\n"] {
            assert!(bad.parse::<NamePattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_covered_as_a_whole() {
        let covers = |pattern: &str, name: &str| pattern.parse::<NamePattern>().unwrap().covers(name);
        assert!(covers("UDEV_*", "UDEV_DEVNODE") && covers("*", "X") && covers("A*B*C", "AxBxBxC"));
        assert!(
            !covers("UDEV_*", "XUDEV_DEVNODE") && !covers("UDEV", "UDEV_DEVNODE") && !covers("A*C", "AxB")
        );
    }

    proptest! {
        /// Held against the definition, which is slow and plainly right.
        #[test]
        fn stars_mean_what_they_say(pattern in "[ab*]{0,8}", text in "[ab*]{0,8}") {
            fn plainly(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern.split_first(), text.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), _) if plainly(rest, text) => true,
                    (Some((b'*', _)), Some((_, behind))) => plainly(pattern, behind),
                    (Some((p, rest)), Some((t, behind))) => p == t && plainly(rest, behind),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(&pattern, &text), plainly(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
