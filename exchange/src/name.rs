//! Names that become parts of file names, sockets and registrations.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// Bytes of a name: a DNS label's length, which leaves room in the 108 bytes of a Unix socket's path.
const NAME_BYTES: usize = 63;

/// The name under which a handler registers with the Akri Agent, as in a Configuration's `discoveryHandler.name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandlerName(String);

/// The name of a file below `inputs/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InputName(String);

fn checked(what: &'static str, text: &str) -> Result<String, Invalid> {
    const RULE: &str = "1 to 63 letters, digits, '-', '_' or '.', the first a letter or digit";
    let mut bytes = text.bytes();
    let first_fits = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest_fits = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if first_fits && rest_fits && text.len() <= NAME_BYTES {
        Ok(text.to_owned())
    } else {
        Err(Invalid::text(what, text, RULE))
    }
}

impl FromStr for HandlerName {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        checked("the handler name", text).map(Self)
    }
}

impl FromStr for InputName {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        checked("the input name", text).map(Self)
    }
}

impl HandlerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl InputName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_file_names() {
        for good in ["debugEcho", "udev", "a.b-c_d", "0"] {
            assert_eq!(good.parse::<HandlerName>().unwrap().as_str(), good);
            assert_eq!(good.parse::<InputName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(64);
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", "ä", "-x", "a\0", long.as_str()] {
            assert!(bad.parse::<HandlerName>().is_err(), "{bad:?}");
            assert!(bad.parse::<InputName>().is_err(), "{bad:?}");
        }
    }
}
