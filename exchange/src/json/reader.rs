//! Reads a JSON text from its front to its end, one value at a time.

use std::borrow::Cow;

use super::Error;
use super::number::{Integer, Number};
use super::text::plain_prefix;

/// How deep values may be nested where they are read by recursion, as in serde_json.
const DEPTH: u8 = 127;

/// A place in a JSON text.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

/// The beginning of a value: the whole of a simple one.
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Cow<'a, str>),
    List,
    Object,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Makes sure that nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("trailing characters")),
        }
    }

    /// Reads an object; `field` reads the value of the key that it is given.
    pub(crate) fn object(
        &mut self,
        field: &mut dyn FnMut(&str, &mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.expect(b'{', "expected an object")?;
        let mut first = true;
        while let Some(key) = self.next_key(first)? {
            first = false;
            field(&key, self).map_err(|error| error.in_field(&key))?;
        }
        self.expect(b'}', "expected `}`")
    }

    /// Reads a string.
    pub(crate) fn string(&mut self) -> Result<String, Error> {
        self.expect(b'"', "expected a string")?;
        Ok(self.rest_of_text()?.into_owned())
    }

    /// Reads a string or null.
    pub(crate) fn optional_string(&mut self) -> Result<Option<String>, Error> {
        if self.take_null()? { Ok(None) } else { self.string().map(Some) }
    }

    /// Reads a whole number that is not negative.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Error> {
        match self.token()? {
            Token::Number(number) => match number.integer() {
                Some(Integer::Unsigned(number)) => Ok(number),
                _ => Err(self.wrong("expected a whole number")),
            },
            _ => Err(self.wrong("expected a number")),
        }
    }

    /// Passes over a value of any kind and depth, and gives its text.
    pub(crate) fn skip(&mut self) -> Result<&'a str, Error> {
        self.peek();
        let start = self.at;
        // What closes the lists and objects that are open.
        let mut open = Vec::new();
        let mut first = true;
        loop {
            let more = match open.last() {
                None => true,
                Some(b']') => self.next_element(first)?,
                Some(_) => self.next_key(first)?.is_some(),
            };
            if !more {
                self.at += 1;
                open.pop();
                first = false;
            } else {
                first = true;
                match self.token()? {
                    Token::List => open.push(b']'),
                    Token::Object => open.push(b'}'),
                    _ => first = false,
                }
            }
            if open.is_empty() {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    /// Reads on to the beginning of the next value.
    pub(super) fn token(&mut self) -> Result<Token<'a>, Error> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.rest_of_text().map(Token::Text)
            }
            Some(b'[') => {
                self.at += 1;
                Ok(Token::List)
            }
            Some(b'{') => {
                self.at += 1;
                Ok(Token::Object)
            }
            Some(b'-' | b'0'..=b'9') => match Number::at_start(&self.text[self.at..]) {
                Some(number) => {
                    self.at += number.text().len();
                    Ok(Token::Number(number))
                }
                None => Err(self.wrong("invalid number")),
            },
            Some(b't') => self.word("true", Token::Bool(true)),
            Some(b'f') => self.word("false", Token::Bool(false)),
            Some(b'n') => self.word("null", Token::Null),
            Some(_) => Err(self.wrong("expected value")),
            None => Err(self.wrong("the text ends where a value is expected")),
        }
    }

    /// Takes a null, if that is next.
    pub(super) fn take_null(&mut self) -> Result<bool, Error> {
        if self.peek() == Some(b'n') { self.token().map(|_| true) } else { Ok(false) }
    }

    /// Takes a byte other than white space, if that is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes what has to be next.
    pub(super) fn expect(&mut self, byte: u8, what: &str) -> Result<(), Error> {
        if self.take(byte) { Ok(()) } else { Err(self.wrong(what)) }
    }

    /// In a list: goes on to the next element; `false` where its end is next.
    pub(super) fn next_element(&mut self, first: bool) -> Result<bool, Error> {
        if self.peek() == Some(b']') {
            return Ok(false);
        }
        if !first {
            self.expect(b',', "expected `,` or `]`")?;
        }
        Ok(true)
    }

    /// In an object: reads on to the next value and gives its key; `None` where its end is next.
    pub(super) fn next_key(&mut self, first: bool) -> Result<Option<Cow<'a, str>>, Error> {
        if self.peek() == Some(b'}') {
            return Ok(None);
        }
        if !first {
            self.expect(b',', "expected `,` or `}`")?;
        }
        self.expect(b'"', "expected a key")?;
        let key = self.rest_of_text()?;
        self.expect(b':', "expected `:`")?;
        Ok(Some(key))
    }

    /// One level deeper, as long as `inner` runs.
    pub(super) fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.depth == DEPTH {
            return Err(self.wrong("nested too deeply"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// An error at this place.
    pub(super) fn wrong(&self, what: &str) -> Error {
        Error::syntax(what, self.at)
    }

    /// The next byte that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, Error> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(token);
        }
        Err(self.wrong("expected value"))
    }

    /// A string behind its opening quote. Borrowed where nothing in it is escaped.
    fn rest_of_text(&mut self) -> Result<Cow<'a, str>, Error> {
        let mut read = Cow::Borrowed("");
        loop {
            let start = self.at;
            self.at += plain_prefix(&self.text.as_bytes()[start..]);
            let plain = &self.text[start..self.at];
            if read.is_empty() {
                read = Cow::Borrowed(plain);
            } else {
                read.to_mut().push_str(plain);
            }
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(read);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let letter = self.escaped()?;
                    read.to_mut().push(letter);
                }
                Some(_) => return Err(self.wrong("control character in a string")),
                None => return Err(self.wrong("the text ends within a string")),
            }
        }
    }

    /// The character of an escape, behind its backslash.
    fn escaped(&mut self) -> Result<char, Error> {
        let letter = match self.text.as_bytes().get(self.at) {
            Some(&letter @ (b'"' | b'\\' | b'/')) => letter.into(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.utf16(),
            _ => return Err(self.wrong("invalid escape")),
        };
        self.at += 1;
        Ok(letter)
    }

    /// The character of `\uXXXX`, or of two of them, from the `u` on.
    fn utf16(&mut self) -> Result<char, Error> {
        let mut code = self.code_unit()?;
        if (0xd800..0xdc00).contains(&code) && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            self.at += 1;
            let low = self.code_unit()?;
            if (0xdc00..0xe000).contains(&low) {
                code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
            }
        }
        // Half a pair is no character.
        char::from_u32(code).ok_or_else(|| self.wrong("lone surrogate in an escape"))
    }

    fn code_unit(&mut self) -> Result<u32, Error> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).unwrap_or_default();
        let value = |value, &digit: &u8| Some(value << 4 | char::from(digit).to_digit(16)?);
        match digits.iter().try_fold(0, value) {
            Some(code) if digits.len() == 4 => {
                self.at += 5;
                Ok(code)
            }
            _ => Err(self.wrong("invalid escape")),
        }
    }
}
