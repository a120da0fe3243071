//! The name of a runtime handler.

use std::fmt;
use std::str::FromStr;

use crate::spec;

/// Longest name: a DNS label. <https://kubernetes.io/docs/concepts/containers/runtime-class/>
const MAX: usize = 63;

/// A runtime handler as a RuntimeClass may name it: a DNS label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HandlerName(String);

/// Why a string is no handler's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no runtime handler: 1 to {MAX} characters of a-z, 0-9 and, in the middle, '-'")]
pub struct HandlerNameError(String);

impl HandlerName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for HandlerName {
    fn default() -> Self {
        Self(spec::HANDLER.to_owned())
    }
}

impl FromStr for HandlerName {
    type Err = HandlerNameError;

    fn from_str(text: &str) -> Result<Self, HandlerNameError> {
        let good = (1..=MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(HandlerNameError(text.chars().take(2 * MAX).collect()))
        }
    }
}

impl fmt::Display for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        assert_eq!("crun-wasmedge".parse::<HandlerName>().unwrap(), HandlerName::default());
        for text in ["", "-a", "a-", "A", "a.b", "a\"]", "a\n", &"a".repeat(64)] {
            assert!(text.parse::<HandlerName>().is_err(), "{text}");
        }
    }
}
