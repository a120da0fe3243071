//! A request's properties: named bytes that may be credentials.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base64;
use crate::json::{self, Reader, Writer};

/// A request's properties, in the order of their names, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(Vec<(String, PropertyValue)>);

/// A property's value: bytes, not always UTF-8, or absent (an optional reference that led nowhere).
/// Shows nothing of itself in `Debug`, for it may be a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct PropertyValue(Option<Vec<u8>>);

impl Properties {
    /// The value of a property; `None` where the Configuration does not name it.
    pub fn get(&self, name: &str) -> Option<&PropertyValue> {
        self.position(name).ok().map(|at| &self.0[at].1)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PropertyValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads an object of base64 strings and nulls.
    pub(crate) fn read(json: &mut Reader<'_>) -> Result<Self, json::Error> {
        let mut properties = Self::default();
        json.object(&mut |name, json| {
            let value = match json.optional_string()? {
                None => Ok(PropertyValue(None)),
                Some(text) => PropertyValue::decoded(&text),
            };
            value.map(|value| properties.insert(name.to_owned(), value))
        })?;
        Ok(properties)
    }

    /// What serde would write.
    pub(crate) fn write(&self, json: &mut Writer) {
        json.object(|json| {
            for (name, value) in self.iter() {
                let json = json.key(name);
                match value.bytes() {
                    Some(bytes) => json.string(&base64::encode(bytes)),
                    None => json.raw("null"),
                }
            }
        });
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(name))
    }

    /// The later of two values for one name stands.
    fn insert(&mut self, name: String, value: PropertyValue) {
        match self.position(&name) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }
}

impl FromIterator<(String, Option<Vec<u8>>)> for Properties {
    fn from_iter<I: IntoIterator<Item = (String, Option<Vec<u8>>)>>(pairs: I) -> Self {
        let mut properties = Self::default();
        for (name, value) in pairs {
            properties.insert(name, PropertyValue(value));
        }
        properties
    }
}

impl PropertyValue {
    /// The bytes; `None` where the property is named but has no value.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }

    /// The text itself stays out of the error: it may be a credential, badly encoded.
    fn decoded<E: Error>(text: &str) -> Result<Self, E> {
        let bytes = base64::decode(text).ok_or_else(|| E::custom("a property is not base64"))?;
        Ok(Self(Some(bytes)))
    }

    /// The bytes as text; `None` where there are none or they are not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

impl fmt::Debug for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(bytes) => write!(f, "({} bytes)", bytes.len()),
            None => f.write_str("(absent)"),
        }
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Properties;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of base64 strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Properties, A::Error> {
                let mut properties = Properties::default();
                while let Some((name, value)) = pairs.next_entry()? {
                    properties.insert(name, value);
                }
                Ok(properties)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl Serialize for PropertyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes().map(base64::encode).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PropertyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            None => Ok(Self(None)),
            Some(text) => Self::decoded(&text),
        }
    }
}
