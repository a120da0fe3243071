//! What is wrong with a JSON text, and where in the value.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

/// Why a JSON text cannot be read, or not as the type that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
    /// Grows at its front while the error makes its way out: so the way in costs nothing.
    path: String,
}

impl Error {
    /// What the value that cannot be used is, as a path (`rules[2].text`); empty for the whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The text is not JSON from this byte on.
    #[cold]
    pub(super) fn syntax(what: &str, at: usize) -> Self {
        de::Error::custom(format_args!("{what} at byte {at}"))
    }

    /// The same error, seen from the list around the value.
    #[cold]
    pub(super) fn in_element(mut self, index: usize) -> Self {
        self.prefix(&format!("[{index}]"));
        self
    }

    /// The same error, seen from the object around the value.
    #[cold]
    pub(super) fn in_field(mut self, name: &str) -> Self {
        self.prefix(name);
        self
    }

    fn prefix(&mut self, outer: &str) {
        if !self.path.is_empty() && !self.path.starts_with('[') {
            self.path.insert(0, '.');
        }
        self.path.insert_str(0, outer);
    }

    fn at(message: String, path: &str) -> Self {
        Self { message, path: path.to_owned() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Host side: messages that are read by serde_json. Its texts have the position in them.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        de::Error::custom(error)
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::at(message.to_string(), "")
    }

    // serde's own texts for these two show floating point numbers, whose printing is 10 kB of tables and code.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        mismatch("type", found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        mismatch("value", found, expected)
    }

    // These three know which field they are about, though it is not the one being read.
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let known = if expected.is_empty() { "there are no fields".into() } else { expected.join(", ") };
        Self::at(format!("unknown field `{field}`, expected: {known}"), field)
    }

    #[cold]
    fn missing_field(field: &'static str) -> Self {
        Self::at(format!("missing field `{field}`"), field)
    }

    #[cold]
    fn duplicate_field(field: &'static str) -> Self {
        Self::at(format!("duplicate field `{field}`"), field)
    }
}

#[cold]
fn mismatch(what: &str, found: Unexpected<'_>, expected: &dyn Expected) -> Error {
    de::Error::custom(format_args!("invalid {what}: {}, expected {expected}", Found(found)))
}

/// What JSON can hold, in serde_json's words.
struct Found<'a>(Unexpected<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Unit => f.write_str("null"),
            Unexpected::Bool(value) => write!(f, "boolean `{value}`"),
            Unexpected::Unsigned(number) => write!(f, "integer `{number}`"),
            Unexpected::Signed(number) => write!(f, "integer `{number}`"),
            Unexpected::Float(_) => f.write_str("floating point number"),
            Unexpected::Char(letter) => write!(f, "character `{letter}`"),
            Unexpected::Str(text) => write!(f, "string {text:?}"),
            Unexpected::Seq => f.write_str("sequence"),
            Unexpected::Map => f.write_str("map"),
            Unexpected::UnitVariant => f.write_str("unit variant"),
            Unexpected::Other(text) => f.write_str(text),
            _ => f.write_str("a value of another kind"),
        }
    }
}
