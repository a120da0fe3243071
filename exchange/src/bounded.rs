//! Fields of devices whose memory is bounded while they are read, before anything can check them.
//!
//! Each keeps one more than is allowed, and passes over the rest: so [`crate::Device::check`] finds what is too much and
//! says so, but who writes too much makes its reader hold no more than it would have to hold of who keeps to the limits.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::limits;

/// A text, of which at most one character more than `MAX` bytes is kept.
pub(crate) fn text<'de, const MAX: usize, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text<const MAX: usize>;
    impl<const MAX: usize> Visitor<'_> for Text<MAX> {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            let end = (MAX + 1..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
            Ok(text[..end].to_owned())
        }
        fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
            if text.len() > MAX { self.visit_str(&text) } else { Ok(text) }
        }
    }
    deserializer.deserialize_string(Text::<MAX>)
}

/// Like [`text`], or `null`.
pub(crate) fn optional_text<'de, const MAX: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Bounded<const MAX: usize>(#[serde(deserialize_with = "text::<MAX, _>")] String);
    Ok(Option::<Bounded<MAX>>::deserialize(deserializer)?.map(|text| text.0))
}

/// A list, of which at most one element more than `MAX` is kept.
pub(crate) fn list<'de, const MAX: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct List<T, const MAX: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while list.len() <= MAX {
                match elements.next_element()? {
                    Some(element) => list.push(element),
                    None => return Ok(list),
                }
            }
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            Ok(list)
        }
    }
    deserializer.deserialize_seq(List::<T, MAX>(PhantomData))
}

/// A device's properties: at most one more than [`limits::PROPERTIES`], and none after they are together more than
/// [`limits::DEVICE_BYTES`].
pub(crate) fn properties<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Name(#[serde(deserialize_with = "text::<{ limits::PROPERTY_NAME_BYTES }, _>")] String);
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Value(#[serde(deserialize_with = "text::<{ limits::PROPERTY_VALUE_BYTES }, _>")] String);

    struct Properties;
    impl<'de> Visitor<'de> for Properties {
        type Value = BTreeMap<String, String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of strings")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Self::Value, A::Error> {
            let (mut properties, mut bytes) = (BTreeMap::new(), 0);
            while properties.len() <= limits::PROPERTIES && bytes <= limits::DEVICE_BYTES {
                let Some((Name(name), Value(value))) = pairs.next_entry()? else { return Ok(properties) };
                bytes += name.len() + value.len();
                // Of two values for one name the later one stands.
                let before = properties.insert(name, value).map_or(0, |before: String| before.len());
                bytes -= before;
            }
            while pairs.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(properties)
        }
    }
    deserializer.deserialize_map(Properties)
}
