//! One POST over HTTP/1.1: the event in binary mode, the reply held to bounds, for its sender is a stranger.
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>

use std::io;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::event::{CONTENT_TYPE, Event, RECEIPT_TYPE, Receipt, SPEC_VERSION, TYPE};
use crate::os::Stream;
use crate::url::Url;

/// From the request to the whole reply.
const REPLY: Duration = Duration::from_secs(5);
/// The most that is read of a reply: a receipt has some hundred bytes.
const MOST_BYTES: usize = 64 * 1024;
/// The most headers of a reply.
const MOST_HEADERS: usize = 64;

/// Why an event was not taken.
#[derive(Debug, Error)]
pub(crate) enum PostError {
    #[error("cannot connect to {0}")]
    Connect(Url, #[source] io::Error),
    #[error("cannot send")]
    Send(#[source] io::Error),
    #[error("cannot read the reply")]
    Receive(#[source] io::Error),
    #[error("no reply within {} s", REPLY.as_secs())]
    Late,
    #[error("the reply is longer than {MOST_BYTES} bytes")]
    Long,
    #[error("the reply ends early")]
    Short,
    #[error("the reply is no HTTP")]
    NoHttp(#[source] httparse::Error),
    #[error("the reply says no Content-Length")]
    NoLength,
    #[error("the service said {0}")]
    Refused(u16),
    #[error("the reply's {0} is not {1}")]
    NoEvent(&'static str, &'static str),
    #[error("the reply is no receipt for this event")]
    NoReceipt,
}

/// Sends an event and reads the receipt for it.
pub(crate) fn post(service: &Url, event: &Event) -> Result<Receipt, PostError> {
    let connected = Stream::connect(service.address);
    let mut stream = connected.map_err(|error| PostError::Connect(service.clone(), error))?;
    stream.send(request(service, event).as_bytes()).map_err(PostError::Send)?;
    let until = Instant::now() + REPLY;
    let mut reply = Vec::new();
    loop {
        if let Some(receipt) = read(&reply, event)? {
            return Ok(receipt);
        }
        let mut bytes = [0; 4096];
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(PostError::Late);
        }
        match stream.receive(&mut bytes, left) {
            Ok(0) => return Err(PostError::Short),
            Ok(count) => reply.extend_from_slice(&bytes[..count]),
            // The loop looks at the clock.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => return Err(PostError::Receive(error)),
        }
        if reply.len() > MOST_BYTES {
            return Err(PostError::Long);
        }
    }
}

fn request(service: &Url, event: &Event) -> String {
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nce-specversion: {SPEC_VERSION}\r\nce-type: {TYPE}\r\n\
         ce-source: {}\r\nce-id: {}\r\nce-time: {}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\n\r\n{}",
        service.path,
        service.address,
        event.source,
        event.id,
        event.time,
        event.data.len(),
        event.data
    )
}

/// What came so far: a receipt, or `None` where more has to come.
fn read(reply: &[u8], event: &Event) -> Result<Option<Receipt>, PostError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let body = match response.parse(reply).map_err(PostError::NoHttp)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => &reply[length..],
    };
    let code = response.code.unwrap_or_default();
    if !(200..300).contains(&code) {
        return Err(PostError::Refused(code));
    }
    let value = |name: &str| {
        let mut headers = response.headers.iter();
        let header = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    for (name, wanted) in
        [("ce-specversion", SPEC_VERSION), ("ce-type", RECEIPT_TYPE), ("content-type", CONTENT_TYPE)]
    {
        if value(name) != Some(wanted) {
            return Err(PostError::NoEvent(name, wanted));
        }
    }
    let length: usize =
        value("content-length").and_then(|text| text.parse().ok()).ok_or(PostError::NoLength)?;
    if length > MOST_BYTES {
        return Err(PostError::Long);
    }
    let Some(body) = body.get(..length) else { return Ok(None) };
    event.receipt(body).ok_or(PostError::NoReceipt).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(event: &Event, status: &str, kind: &str) -> String {
        let body = format!(r#"{{"received":"{}","count":1}}"#, event.id);
        format!(
            "HTTP/1.1 {status}\r\nCe-SpecVersion: 1.0\r\nce-type: {kind}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[test]
    fn a_reply_is_read_once_all_of_it_is_there() {
        let event = Event::new("/x", 1);
        let whole = reply(&event, "200 OK", RECEIPT_TYPE);
        for length in 0..whole.len() {
            assert_eq!(read(&whole.as_bytes()[..length], &event).unwrap(), None, "{length}");
        }
        assert_eq!(read(whole.as_bytes(), &event).unwrap(), Some(Receipt { count: 1 }));
    }

    #[test]
    fn what_is_no_receipt_is_refused_with_its_reason() {
        let (event, other) = (Event::new("/x", 1), Event::new("/x", 2));
        let good = reply(&event, "200 OK", RECEIPT_TYPE);
        for (said, why) in [
            (reply(&event, "503 Service Unavailable", RECEIPT_TYPE), "the service said 503"),
            (reply(&event, "200 OK", "other"), "the reply's ce-type is not"),
            (reply(&other, "200 OK", RECEIPT_TYPE), "no receipt for this event"),
            ("nonsense\r\n\r\n".to_owned(), "no HTTP"),
            (good.replace("Content-Length", "X"), "no Content-Length"),
            (good.replace("Content-Length: ", "Content-Length: 9999"), "longer than"),
        ] {
            let error = read(said.as_bytes(), &event).map(|receipt| format!("{receipt:?}"));
            let error = error.map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains(why)), "{why}: {error:?}");
        }
    }

    #[test]
    fn the_request_is_an_event_in_binary_mode() {
        let event = Event::new("/x", 7);
        let text = request(&"http://127.0.0.1:8080/in".parse().unwrap(), &event);
        assert!(text.starts_with("POST /in HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"), "{text}");
        for header in ["ce-specversion: 1.0", "ce-source: /x", &format!("ce-id: {}", event.id)] {
            assert!(text.contains(&format!("\r\n{header}\r\n")), "{header}: {text}");
        }
        assert!(text.ends_with("\r\n\r\n{\"sequence\":7}"), "{text}");
    }
}
