//! serde over the reader: from a JSON text to any type that can be deserialised.

use std::borrow::Cow;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::map_key::MapKey;
use super::reader::Token;
use super::{Error, Reader};

/// Reads a value of the type from a JSON text, as `serde_json::from_str` does; but a struct is read from an object only,
/// never from a list of its fields' values.
///
/// # Errors
/// Where the text is no JSON or does not fit the type. The error knows the path to the value.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let mut reader = Reader::new(text);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

impl<'a> Reader<'a> {
    fn list<'de, V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.nested(|reader| {
            let value = visitor.visit_seq(Elements { reader, index: 0 })?;
            reader.expect(b']', "trailing elements")?;
            Ok(value)
        })
    }

    fn map<'de, V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.nested(|reader| {
            let value = visitor.visit_map(Fields { reader, first: true, key: Cow::Borrowed("") })?;
            reader.expect(b'}', "trailing fields")?;
            Ok(value)
        })
    }
}

/// A value of another kind than is wanted.
#[cold]
fn unexpected(token: Token<'_>, expected: &dyn de::Expected) -> Error {
    let found = match &token {
        Token::Number(number) => return number.unexpected(expected),
        Token::Null => Unexpected::Unit,
        Token::Bool(value) => Unexpected::Bool(*value),
        Token::Text(text) => Unexpected::Str(text),
        Token::List => Unexpected::Seq,
        Token::Object => Unexpected::Map,
    };
    de::Error::invalid_type(found, expected)
}

fn visit_text<'de, V: Visitor<'de>>(text: Cow<'_, str>, visitor: V) -> Result<V::Value, Error> {
    match text {
        Cow::Borrowed(text) => visitor.visit_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

/// Each of these looks at the one kind of value that fits, so that what a type does not use is not linked: above all
/// floating point, that `deserialize_any` needs.
macro_rules! only {
    ($($token:pat => $visit:expr, $($method:ident)*;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.token()? {
                $token => $visit(self, visitor),
                other => Err(unexpected(other, &visitor)),
            }
        }
    )*)*};
}

impl<'de> Deserializer<'de> for &mut Reader<'_> {
    type Error = Error;

    only! {
        Token::Null => |_, visitor: V| visitor.visit_unit(), deserialize_unit;
        Token::Bool(value) => |_, visitor: V| visitor.visit_bool(value), deserialize_bool;
        Token::Number(number) => |_, visitor: V| number.visit_integer(visitor),
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
            deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64;
        Token::Number(number) => |_, visitor: V| number.visit_u128(visitor), deserialize_u128;
        Token::Number(number) => |_, visitor: V| number.visit_i128(visitor), deserialize_i128;
        Token::Number(number) => |_, visitor: V| number.visit(visitor), deserialize_f32 deserialize_f64;
        Token::Text(text) => |_, visitor: V| visit_text(text, visitor),
            deserialize_str deserialize_string deserialize_char deserialize_identifier;
        Token::List => |reader: Self, visitor: V| reader.list(visitor), deserialize_seq;
        Token::Object => |reader: Self, visitor: V| reader.map(visitor), deserialize_map;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Null => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Number(number) => number.visit(visitor),
            Token::Text(text) => visit_text(text, visitor),
            Token::List => self.list(visitor),
            Token::Object => self.map(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.take_null()? { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Text(text) => visitor.visit_bytes(text.as_bytes()),
            Token::List => self.list(visitor),
            other => Err(unexpected(other, &visitor)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    /// A variant's name alone, or an object of one field: the variant and what is in it.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Text(name) => visitor.visit_enum(MapKey(&name)),
            Token::Object => self.nested(|reader| {
                let Some(name) = reader.next_key(true)? else {
                    return Err(reader.wrong("expected a variant"));
                };
                let variant = Variant { reader, name: &name };
                let value = visitor.visit_enum(variant)?;
                reader.expect(b'}', "a variant is the only field")?;
                Ok(value)
            }),
            other => Err(unexpected(other, &visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }
}

/// The elements of a list.
struct Elements<'r, 'a> {
    reader: &'r mut Reader<'a>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let index = self.index;
        if !self.reader.next_element(index == 0)? {
            return Ok(None);
        }
        self.index += 1;
        seed.deserialize(&mut *self.reader).map(Some).map_err(|error| error.in_element(index))
    }
}

/// The fields of an object.
struct Fields<'r, 'a> {
    reader: &'r mut Reader<'a>,
    first: bool,
    /// Of the field whose value is next.
    key: Cow<'a, str>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(key) = self.reader.next_key(self.first)? else { return Ok(None) };
        self.first = false;
        self.key = key;
        seed.deserialize(MapKey(&self.key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut *self.reader).map_err(|error| error.in_field(&self.key))
    }
}

/// A variant that is the only field of an object.
struct Variant<'r, 'a> {
    reader: &'r mut Reader<'a>,
    name: &'r str,
}

impl<'de> EnumAccess<'de> for Variant<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        Ok((seed.deserialize(MapKey(self.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        de::Deserialize::deserialize(&mut *self.reader).map_err(|error: Error| error.in_field(self.name))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut *self.reader).map_err(|error| error.in_field(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.reader.deserialize_seq(visitor).map_err(|error| error.in_field(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.reader.deserialize_map(visitor).map_err(|error| error.in_field(self.name))
    }
}
