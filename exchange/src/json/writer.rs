//! Writes JSON without white space: byte for byte what serde_json writes.

use super::text::plain_prefix;

/// JSON in the making. Commas set themselves.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// What was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Writes an object; `fields` writes each field by [`Writer::key`] and a value.
    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.0.push(b'{');
        fields(self);
        self.0.push(b'}');
    }

    /// Writes a list; `element` writes one of them.
    pub(crate) fn list<T>(&mut self, items: &[T], element: impl Fn(&mut Self, &T)) {
        self.0.push(b'[');
        for item in items {
            self.separate();
            element(self, item);
        }
        self.0.push(b']');
    }

    /// Writes a field's name.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.separate();
        self.string(name);
        self.0.push(b':');
        self
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.0.push(b'"');
        let mut rest = text.as_bytes();
        loop {
            let (plain, special) = rest.split_at(plain_prefix(rest));
            self.0.extend_from_slice(plain);
            let Some((&byte, behind)) = special.split_first() else { break };
            self.escaped(byte);
            rest = behind;
        }
        self.0.push(b'"');
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.raw(&number.to_string());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// Writes a value that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    /// A comma, unless this is the first in its list or object. (A value never ends with an opening bracket: one within a
    /// text has a quote behind it.)
    fn separate(&mut self) {
        if !matches!(self.0.last(), Some(b'[' | b'{')) {
            self.0.push(b',');
        }
    }

    fn escaped(&mut self, byte: u8) {
        let letter = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                let low = b"0123456789abcdef"[usize::from(byte & 15)];
                self.0.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), low]);
                return;
            }
        };
        self.0.extend_from_slice(&[b'\\', letter]);
    }
}
