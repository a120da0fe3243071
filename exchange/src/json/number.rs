//! A number as it stands in the text: most are never needed as anything else.

use serde::de::{Unexpected, Visitor};

use super::Error;

/// The text of a number, of JSON's form.
#[derive(Clone, Copy)]
pub(super) struct Number<'a>(&'a str);

/// What integers are read as.
#[derive(Clone, Copy)]
pub(super) enum Integer {
    Unsigned(u64),
    Signed(i64),
}

impl<'a> Number<'a> {
    /// The number at the beginning of `text`; `None` where there is none of JSON's form.
    pub(super) fn at_start(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut end = usize::from(bytes.first() == Some(&b'-'));
        let whole = digits(end);
        if whole == 0 || whole > 1 && bytes[end] == b'0' {
            return None;
        }
        end += whole;
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            if fraction == 0 {
                return None;
            }
            end += 1 + fraction;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            end += 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end);
            if exponent == 0 {
                return None;
            }
            end += exponent;
        }
        text.get(..end).map(Self)
    }

    pub(super) fn text(self) -> &'a str {
        self.0
    }

    /// As an integer of 64 bits. What has a fraction or an exponent, or is -0, or larger, is none: as in serde_json.
    pub(super) fn integer(self) -> Option<Integer> {
        match self.0.strip_prefix('-') {
            None => self.0.parse().ok().map(Integer::Unsigned),
            Some(digits) => match digits.parse().ok()? {
                0 => None,
                magnitude => 0i64.checked_sub_unsigned(magnitude).map(Integer::Signed),
            },
        }
    }

    /// As floating point; an error where it is too large. Only what asks for floating point has the code for it.
    pub(super) fn float(self) -> Result<f64, Error> {
        match self.0.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(serde::de::Error::custom("number out of range")),
        }
    }

    /// Gives an integer to a visitor that takes no floating point.
    pub(super) fn visit_integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.integer() {
            Some(Integer::Unsigned(number)) => visitor.visit_u64(number),
            Some(Integer::Signed(number)) => visitor.visit_i64(number),
            None => Err(self.unexpected(&visitor)),
        }
    }

    /// Gives an integer of 128 bits without a sign to a visitor. One with a sign is none, not even -0: as in serde_json.
    pub(super) fn visit_u128<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.parse() {
            Ok(number) => visitor.visit_u128(number),
            Err(_) => Err(self.unexpected(&visitor)),
        }
    }

    /// Gives an integer of 128 bits to a visitor.
    pub(super) fn visit_i128<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.parse() {
            Ok(number) => visitor.visit_i128(number),
            Err(_) => Err(self.unexpected(&visitor)),
        }
    }

    /// Gives a number of either kind to a visitor.
    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.integer() {
            Some(Integer::Unsigned(number)) => visitor.visit_u64(number),
            Some(Integer::Signed(number)) => visitor.visit_i64(number),
            None => visitor.visit_f64(self.float()?),
        }
    }

    /// This number, where something else is wanted.
    pub(super) fn unexpected(self, expected: &dyn serde::de::Expected) -> Error {
        let text;
        let found = match self.integer() {
            Some(Integer::Unsigned(number)) => Unexpected::Unsigned(number),
            Some(Integer::Signed(number)) => Unexpected::Signed(number),
            None => {
                text = format!("floating point `{}`", self.0);
                Unexpected::Other(&text)
            }
        };
        serde::de::Error::invalid_type(found, expected)
    }
}
