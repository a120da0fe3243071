//! A udev rule, as far as it selects devices: conditions with commas between them.

use std::fmt;
use std::str::FromStr;

use crate::glob::Glob;
use crate::regex::Regex;

/// Bytes of a rule: more than any that a person wrote.
const LONGEST: usize = 4096;
/// Conditions of a rule, likewise.
const MOST: usize = 64;

/// The fields that select devices, and whether a key in braces belongs to each.
const FIELDS: [(&str, bool, Field); 12] = [
    ("ATTRS", true, Field::Attrs),
    ("ATTR", true, Field::Attr),
    ("DEVPATH", false, Field::Devpath),
    ("DRIVERS", false, Field::Drivers),
    ("DRIVER", false, Field::Driver),
    ("KERNELS", false, Field::Kernels),
    ("KERNEL", false, Field::Kernel),
    ("ENV", true, Field::Env),
    ("SUBSYSTEMS", false, Field::Subsystems),
    ("SUBSYSTEM", false, Field::Subsystem),
    ("TAGS", false, Field::Tags),
    ("TAG", false, Field::Tag),
];
/// The same, for people.
const SELECTING: &str =
    "ATTR, ATTRS, DEVPATH, DRIVER, DRIVERS, ENV, KERNEL, KERNELS, SUBSYSTEM, SUBSYSTEMS, TAG, TAGS";
/// Those of udev that do something, or that only an event has.
const UNUSED: [&str; 18] = [
    "ACTION", "LABEL", "GOTO", "GROUP", "IMPORT", "OPTIONS", "OWNER", "MODE", "RUN", "WAIT_FOR", "CONST",
    "NAME", "PROGRAM", "RESULT", "SECLABEL", "SYMLINK", "SYSCTL", "TEST",
];

/// A rule: a device has to fulfil all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    pub(crate) conditions: Vec<Condition>,
}

/// Why a rule is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// Where, in characters from 1 on.
    pub column: usize,
    /// What is wrong there, or what is expected.
    pub problem: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) field: Field,
    /// What stands in braces; empty where the field has none.
    pub(crate) key: String,
    pub(crate) operator: Operator,
    pub(crate) pattern: Pattern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Attr,
    Attrs,
    Devpath,
    Driver,
    Drivers,
    Env,
    Kernel,
    Kernels,
    Subsystem,
    Subsystems,
    Tag,
    Tags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
}

/// Akri's native handler leaves some conditions to udev's library, which knows globs, and judges the others by regular
/// expressions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    Glob(Glob),
    Regex(Regex),
}

impl Pattern {
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Glob(glob) => glob.matches(text),
            Pattern::Regex(regex) => regex.matches(text),
        }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.problem)
    }
}

impl std::error::Error for RuleError {}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text.len() > LONGEST {
            let problem = format!("the rule is longer than {LONGEST} bytes");
            return Err(RuleError { column: LONGEST + 1, problem });
        }
        let mut reader = Reader { text, rest: text };
        let mut conditions = Vec::new();
        reader.spaces();
        while !reader.rest.is_empty() {
            if conditions.len() == MOST {
                return Err(reader.error(format!("a rule has at most {MOST} conditions")));
            }
            conditions.push(reader.condition()?);
            reader.spaces();
            // udev itself does not insist on the comma.
            if reader.take(",") {
                reader.spaces();
                if reader.rest.is_empty() {
                    return Err(reader.error("expected another condition after the comma"));
                }
            }
        }
        Ok(Self { conditions })
    }
}

/// Reads on from `rest`, which is the end of `text`.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn condition(&mut self) -> Result<Condition, RuleError> {
        let (field, has_key) = self.field()?;
        let key = if has_key { self.key()? } else { "" };
        let operator = self.operator()?;
        let (value, column) = self.value()?;
        let pattern = if is_glob(field, operator) {
            Pattern::Glob(Glob::new(value))
        } else {
            let regex = Regex::new(value).map_err(|(offset, problem)| RuleError {
                column: column + value.get(..offset).unwrap_or(value).chars().count(),
                problem,
            })?;
            Pattern::Regex(regex)
        };
        Ok(Condition { field, key: key.to_owned(), operator, pattern })
    }

    fn field(&mut self) -> Result<(Field, bool), RuleError> {
        let here = self.rest;
        let length = here.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(here.len());
        let word = &here[..length];
        if let Some((name, has_key, field)) = FIELDS.into_iter().find(|(name, ..)| *name == word) {
            self.rest = &here[name.len()..];
            return Ok((field, has_key));
        }
        Err(self.error(if UNUSED.contains(&word) {
            format!("{word} does not select devices that are there: expected one of {SELECTING}")
        } else {
            format!("expected one of {SELECTING}")
        }))
    }

    fn key(&mut self) -> Result<&'a str, RuleError> {
        if !self.take("{") {
            return Err(self.error("expected a key in braces, as in ATTR{idVendor}"));
        }
        let key = self.run(is_common);
        if !self.take("}") {
            return Err(self.error(format!("expected '}}', the end of the key{}", self.instead())));
        }
        Ok(key)
    }

    fn operator(&mut self) -> Result<Operator, RuleError> {
        for (text, operator) in [("==", Operator::Equal), ("!=", Operator::Unequal)] {
            if self.take(text) {
                return Ok(operator);
            }
        }
        let acts = ["+=", "-=", ":=", "="].iter().any(|text| self.rest.starts_with(text));
        let spaced = self.rest.starts_with(' ');
        Err(self.error(match (acts, spaced) {
            (true, _) => "expected == or !=, for a rule only selects devices and assigns nothing",
            (_, true) => "expected == or != without a space before it",
            _ => "expected == or !=",
        }))
    }

    /// The value, and the column where it begins.
    fn value(&mut self) -> Result<(&'a str, usize), RuleError> {
        if !self.take("\"") {
            return Err(self.error("expected a value in double quotes, right after the operator"));
        }
        let column = self.column();
        let value = self.run(|c| is_common(c) || matches!(c, ':' | '%' | '{' | '}'));
        if !self.take("\"") {
            return Err(self.error(format!("expected '\"', the end of the value{}", self.instead())));
        }
        Ok((value, column))
    }

    fn instead(&self) -> String {
        match self.rest.chars().next() {
            Some(other) => format!(": {other:?} cannot be part of it"),
            None => String::new(),
        }
    }

    fn run(&mut self, part: impl Fn(char) -> bool) -> &'a str {
        let length = self.rest.find(|c: char| !part(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(length);
        self.rest = rest;
        run
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn column(&self) -> usize {
        let before = self.text.len() - self.rest.len();
        self.text.get(..before).unwrap_or(self.text).chars().count() + 1
    }

    fn error(&self, problem: impl Into<String>) -> RuleError {
        RuleError { column: self.column(), problem: problem.into() }
    }
}

/// Which conditions are left to udev's library, natively.
fn is_glob(field: Field, operator: Operator) -> bool {
    match field {
        Field::Attr | Field::Subsystem => true,
        Field::Devpath | Field::Kernel | Field::Tag | Field::Env => operator == Operator::Equal,
        _ => false,
    }
}

/// What keys and values may be made of.
fn is_common(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || is_space(c)
        || matches!(c, '$' | '.' | '_' | '*' | '?' | '[' | ']' | '-' | '|' | '\\' | '/')
}

/// Unicode's space separators.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn conditions_are_read() {
        let read =
            rule(r#" KERNEL=="video[0-9]*" , ATTR{a/b}!="x y",ENV{ID_V4L_CAPABILITIES}=="*:capture:*" "#);
        let fields: Vec<_> = read.conditions.iter().map(|c| (c.field, c.key.as_str(), c.operator)).collect();
        assert_eq!(
            fields,
            [
                (Field::Kernel, "", Operator::Equal),
                (Field::Attr, "a/b", Operator::Unequal),
                (Field::Env, "ID_V4L_CAPABILITIES", Operator::Equal),
            ]
        );
        assert_eq!(rule("").conditions.len(), 0);
        assert_eq!(rule("  ").conditions.len(), 0);
        assert_eq!(rule(r#"KERNEL=="a" SUBSYSTEM=="b""#).conditions.len(), 2);
        for (name, has_key, field) in FIELDS {
            let key = if has_key { "{k}" } else { "" };
            assert_eq!(rule(&format!("{name}{key}!=\"v\"")).conditions[0].field, field);
            assert!(SELECTING.split(", ").any(|other| other == name));
        }
    }

    #[test]
    fn errors_name_the_column_and_what_is_expected() {
        for (text, column, part) in [
            (r#"KERNEL=="a","#, 13, "another condition"),
            (r#"KERNEL="a""#, 7, "assigns nothing"),
            (r#"KERNEL+="a""#, 7, "assigns nothing"),
            (r#"KERNEL == "a""#, 7, "without a space"),
            (r#"KERNEL== "a""#, 9, "double quotes"),
            (r#"KERNEL=="a"#, 11, "the end of the value"),
            (r#"KERNEL=="a+b""#, 11, "'+' cannot be part"),
            (r#"KERNEL=="ä""#, 10, "'ä' cannot be part"),
            (r#"ACTION=="add""#, 1, "ACTION does not select"),
            (r#"KERNEL=="a", RUN{program}=="x""#, 14, "RUN does not select"),
            (r#"kernel=="a""#, 1, "ATTR, ATTRS, DEVPATH"),
            (r#"ATTR=="a""#, 5, "key in braces"),
            (r#"ATTR{a:b}=="a""#, 7, "the end of the key: ':'"),
            (r#"KERNEL{a}=="a""#, 7, "expected == or !="),
            (r#"KERNELS=="a[""#, 12, "is not closed"),
            (r#"DRIVER!="*""#, 10, "nothing to repeat"),
            ("KERNEL==\"a\"\n", 12, "expected one of"),
            (r#"KERNEL"#, 7, "expected == or !="),
        ] {
            let error = text.parse::<Rule>().unwrap_err();
            assert!(error.column == column && error.problem.contains(part), "{text}: {error}");
        }
        assert!(" ".repeat(LONGEST + 1).parse::<Rule>().is_err());
        assert!("KERNEL==\"a\",".repeat(MOST + 1).parse::<Rule>().is_err());
    }

    #[test]
    fn nothing_panics_on_garbage() {
        let pieces = ["KERNEL", "==", "\"", "{", "}", "ATTR", "[", "*", "\\", "é", ",", " ", "{9}", "|", "-"];
        let mut seed = 1_usize;
        for _ in 0..20_000 {
            let mut text = String::from("DRIVERS==\"");
            for _ in 0..seed % 7 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(seed >> 33) % pieces.len()]);
            }
            seed = seed.wrapping_add(1);
            let _ = text.parse::<Rule>();
            text.push('"');
            if let Ok(rule) = text.parse::<Rule>() {
                let _ = rule.conditions[0].pattern.matches("aé[-*");
            }
        }
    }
}
