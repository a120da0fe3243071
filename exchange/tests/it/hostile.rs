//! What breaks a rule is refused, with the reason that metrics count it under.

use akri_exchange::{Answer, Device, Hello, Invalid, Properties, Request, RequestId, limits};

fn id() -> RequestId {
    RequestId::of("", &Properties::default())
}

fn answer(rest: &str) -> Result<Answer, Invalid> {
    Answer::parse(format!(r#"{{"protocol":1,"id":"{}",{rest}}}"#, id()).as_bytes(), id())
}

#[test]
fn each_refusal_has_its_reason() {
    let other = RequestId::of("x", &Properties::default());
    let reason = |result: Result<Answer, Invalid>| result.unwrap_err().reason();
    assert_eq!(reason(Answer::parse(b"{", id())), "malformed");
    assert_eq!(reason(Answer::parse(b"{\"protocol\":2}", id())), "protocol");
    assert_eq!(reason(Answer::parse(&Answer::devices(id(), vec![]).to_json(), other)), "id");
    assert_eq!(reason(answer(r#""x":1"#)), "outcome");
    assert_eq!(reason(answer(r#""devices":[],"error":{"kind":"unavailable","message":""}"#)), "outcome");
    assert_eq!(reason(answer(r#""devices":[{"id":"a\u0000"}]"#)), "text");
    assert_eq!(reason(answer(r#""devices":[{"id":1}]"#)), "malformed");
    assert_eq!(reason(answer(r#""devices":[{"properties":{}}]"#)), "malformed");
    assert_eq!(reason(Answer::parse(&vec![b' '; limits::ANSWER_BYTES + 1], id())), "limit");
    let many = Answer::devices(id(), vec![Device::new("x"); limits::DEVICES + 1]).to_json();
    assert_eq!(reason(Answer::parse(&many, id())), "limit");
    let nested = format!(r#""devices":{}{}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(reason(answer(&nested)), "malformed");
}

#[test]
fn a_request_that_no_reader_would_take_is_not_written() {
    let request = |details_text: String, properties: Properties| Request {
        details_text,
        details_json: None,
        details_error: None,
        properties,
    };
    assert!(request("x".repeat(limits::REQUEST_BYTES), Properties::default()).to_json().is_err());
    let many = (0..=limits::PROPERTIES).map(|n| (n.to_string(), None)).collect();
    assert!(request(String::new(), many).to_json().is_err());
}

#[test]
fn announcements_cannot_reach_beyond_their_name() {
    for bad in [
        r#"{"protocol":1,"name":"../x"}"#,
        r#"{"protocol":1,"name":""}"#,
        r#"{"protocol":1,"name":"x","version":"a\nb"}"#,
        r#"{"protocol":1,"name":"x","rescan_ms":-1}"#,
        r#"{"protocol":1,"name":"x","rescan_ms":86400001}"#,
        r#"{"protocol":1,"name":"x","removal_grace_ms":3600001}"#,
        r#"{"name":"x"}"#,
    ] {
        assert!(Hello::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn credentials_are_not_in_debug_output() {
    let properties: Properties = [("PASSWORD".to_owned(), Some(b"hunter2".to_vec()))].into_iter().collect();
    let shown = format!("{properties:?}");
    assert!(shown.contains("PASSWORD") && !shown.contains("hunter2") && !shown.contains("104"), "{shown}");
}
