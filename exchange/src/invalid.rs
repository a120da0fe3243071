//! Why a message was refused.

use thiserror::Error;

use crate::{PROTOCOL, json};

/// A message that breaks a rule of the exchange. It is refused whole: what was there before stands.
#[derive(Debug, Error)]
pub enum Invalid {
    /// Not JSON, or not of the message's form.
    #[error("not a valid message: {0}")]
    Json(#[from] json::Error),
    /// Another version of the protocol.
    #[error("protocol {found} is not supported: this side speaks protocol {PROTOCOL}")]
    Protocol {
        /// The version that the message said.
        found: u64,
    },
    /// The id in the message is not the one in its file name.
    #[error("the message says id {found}, its file name another")]
    Id {
        /// The id in the message.
        found: String,
    },
    /// Neither a device list nor an error, or both.
    #[error("an answer holds either devices or an error")]
    Outcome,
    /// Longer, larger or more than allowed.
    #[error("{what} is {found}, at most {max} is allowed")]
    TooMuch {
        /// What was measured, with its unit.
        what: &'static str,
        /// How much there was.
        found: u64,
        /// How much may be.
        max: u64,
    },
    /// A text with characters that it must not have, or an empty one.
    #[error("{what} {found:?} is not allowed: {rule}")]
    Text {
        /// Which text.
        what: &'static str,
        /// The text, cut to a readable length.
        found: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
}

/// What the host reads by serde_json.
impl From<serde_json::Error> for Invalid {
    fn from(error: serde_json::Error) -> Self {
        Invalid::Json(error.into())
    }
}

impl Invalid {
    /// A short word for metrics: a label with few values.
    pub fn reason(&self) -> &'static str {
        match self {
            Invalid::Json(_) => "malformed",
            Invalid::Protocol { .. } => "protocol",
            Invalid::Id { .. } => "id",
            Invalid::Outcome => "outcome",
            Invalid::TooMuch { .. } => "limit",
            Invalid::Text { .. } => "text",
        }
    }

    pub(crate) fn text(what: &'static str, found: &str, rule: &'static str) -> Self {
        Invalid::Text { what, found: cut(found, 64).to_owned(), rule }
    }
}

/// Refuses `found` above `max`.
pub(crate) fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), Invalid> {
    if found > max {
        return Err(Invalid::TooMuch { what, found: found as u64, max: max as u64 });
    }
    Ok(())
}

/// The first `max` bytes of a text, or a few less where a character would be cut in two.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    &text[..end]
}

/// Refuses any other version of the protocol than ours.
pub(crate) fn check_protocol(found: u64) -> Result<(), Invalid> {
    if found == PROTOCOL { Ok(()) } else { Err(Invalid::Protocol { found }) }
}

/// Looks at the version alone, so that a message of another protocol is named as such and not as malformed.
pub(crate) fn probe_protocol(bytes: &[u8]) -> Result<(), Invalid> {
    #[derive(serde::Deserialize)]
    struct Probe {
        protocol: u64,
    }
    check_protocol(serde_json::from_slice::<Probe>(bytes)?.protocol)
}
