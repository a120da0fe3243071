//! What an event has to have.
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>

use hyper::header::{CONTENT_TYPE, HeaderMap};
use jiff::Timestamp;
use serde_json::{Value, json};
use thiserror::Error;

/// The version of the specification that is understood.
pub(crate) const SPEC_VERSION: &str = "1.0";
/// The attributes' headers in binary mode.
pub(crate) const CE_SPEC_VERSION: &str = "ce-specversion";
pub(crate) const CE_ID: &str = "ce-id";
pub(crate) const CE_SOURCE: &str = "ce-source";
pub(crate) const CE_TYPE: &str = "ce-type";
pub(crate) const CE_TIME: &str = "ce-time";
/// What the data of events and of receipts is.
pub(crate) const JSON: &str = "application/json";
/// The longest attribute: the specification has consumers take 64 KiB in all.
const LONGEST: usize = 1024;

/// An event that is well-formed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    id: String,
    source: String,
    kind: String,
    time: Timestamp,
    data: Value,
}

/// Why something is no event.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EventError {
    /// A header is not there, empty, too long, or not ASCII.
    #[error("{0} has to be there once, with 1 to {LONGEST} visible characters")]
    Attribute(&'static str),
    /// Another version of the specification.
    #[error("ce-specversion has to be {SPEC_VERSION}")]
    Version,
    /// No time.
    #[error("ce-time has to be a time of RFC 3339")]
    Time,
    /// Other data than JSON.
    #[error("the data has to be JSON, and Content-Type to say {JSON}")]
    Data,
}

impl Event {
    /// Reads an event from a request's headers and body.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, EventError> {
        if attribute(headers, CE_SPEC_VERSION)? != SPEC_VERSION {
            return Err(EventError::Version);
        }
        let [id, source, kind] =
            [attribute(headers, CE_ID)?, attribute(headers, CE_SOURCE)?, attribute(headers, CE_TYPE)?];
        let time = attribute(headers, CE_TIME)?.parse().map_err(|_| EventError::Time)?;
        if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != JSON) {
            return Err(EventError::Data);
        }
        let data = serde_json::from_slice(body).map_err(|_| EventError::Data)?;
        Ok(Self { id: id.to_owned(), source: source.to_owned(), kind: kind.to_owned(), time, data })
    }

    /// Its identity, together with who sent it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As it is printed: CloudEvents' JSON format.
    pub fn document(&self) -> Value {
        json!({
            "specversion": SPEC_VERSION,
            "id": self.id,
            "source": self.source,
            "type": self.kind,
            "time": self.time.to_string(),
            "datacontenttype": JSON,
            "data": self.data,
        })
    }
}

fn attribute<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, EventError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    let good = |value: &&str| {
        (1..=LONGEST).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
    };
    value.filter(good).filter(|_| values.next().is_none()).ok_or(EventError::Attribute(name))
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    const GOOD: [(&str, &str); 6] = [
        (CE_SPEC_VERSION, "1.0"),
        (CE_ID, "a"),
        (CE_SOURCE, "/x"),
        (CE_TYPE, "t"),
        (CE_TIME, "2026-01-02T03:04:05.006Z"),
        ("content-type", JSON),
    ];

    fn read(change: Option<(&'static str, Option<&str>)>, body: &str) -> Result<Event, EventError> {
        let mut headers = HeaderMap::new();
        for (name, value) in GOOD {
            let value = change.filter(|(changed, _)| *changed == name).map_or(Some(value), |(_, to)| to);
            if let Some(value) = value {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
            }
        }
        Event::read(&headers, body.as_bytes())
    }

    #[test]
    fn an_event_is_printed_as_it_came() {
        let document = read(None, r#"{"sequence":1}"#).unwrap().document();
        assert_eq!((&document["id"], &document["data"]["sequence"]), (&json!("a"), &json!(1)));
        assert_eq!(document["time"], "2026-01-02T03:04:05.006Z");
    }

    #[test]
    fn each_thing_that_is_wrong_is_said() {
        for name in [CE_SPEC_VERSION, CE_ID, CE_SOURCE, CE_TYPE, CE_TIME] {
            for value in [None, Some(""), Some("a b")] {
                assert_eq!(read(Some((name, value)), "{}"), Err(EventError::Attribute(name)), "{value:?}");
            }
        }
        assert_eq!(read(Some((CE_SPEC_VERSION, Some("0.3"))), "{}"), Err(EventError::Version));
        assert_eq!(read(Some((CE_TIME, Some("yesterday"))), "{}"), Err(EventError::Time));
        assert_eq!(read(Some(("content-type", Some("text/plain"))), "{}"), Err(EventError::Data));
        assert_eq!(read(None, "{"), Err(EventError::Data));
    }
}
