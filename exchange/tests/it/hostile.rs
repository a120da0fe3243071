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

/// What is too much is refused as too much, also where no more than the beginning of it is ever held.
#[test]
fn what_is_too_much_is_named_as_such() {
    let reason = |rest: &str| answer(rest).unwrap_err().reason();
    let device = |rest: &str| format!(r#""devices":[{{"id":"x",{rest}}}]"#);
    let properties = |count: usize| {
        let pairs: Vec<String> = (0..count).map(|n| format!(r#""P{n}":"""#)).collect();
        device(&format!(r#""properties":{{{}}}"#, pairs.join(",")))
    };
    assert!(answer(&properties(limits::PROPERTIES)).is_ok());
    assert_eq!(reason(&properties(limits::PROPERTIES + 1)), "limit");
    assert_eq!(reason(&properties(100_000)), "limit");
    // One name again and again is one property.
    let again = r#""P":"x","#.repeat(10_000);
    assert!(answer(&device(&format!(r#""properties":{{{again}"P":"y"}}"#))).is_ok());
    let large: Vec<String> = (0..17).map(|n| format!(r#""P{n}":"{}""#, "x".repeat(64_000))).collect();
    assert_eq!(reason(&device(&format!(r#""properties":{{{}}}"#, large.join(",")))), "limit");
    let long = "ä".repeat(limits::PATH_BYTES);
    for text in ["container_path", "host_path"] {
        let paths = ["container_path", "host_path"].map(|path| match path == text {
            true => format!(r#""{path}":"/{long}""#),
            false => format!(r#""{path}":"/x""#),
        });
        assert_eq!(reason(&device(&format!(r#""mounts":[{{{}}}]"#, paths.join(",")))), "limit");
    }
    let mount = r#"{"container_path":"/a","host_path":"/b"}"#;
    let mounts = |count: usize| device(&format!(r#""mounts":[{}]"#, vec![mount; count].join(",")));
    assert!(answer(&mounts(limits::MOUNTS)).is_ok());
    assert_eq!(reason(&mounts(limits::MOUNTS + 1)), "limit");
    assert_eq!(reason(&mounts(50_000)), "limit");
    assert_eq!(reason(&format!(r#""devices":[{{"id":"{}"}}]"#, "x".repeat(1_000_000))), "limit");
    let error =
        answer(&format!(r#""devices":[{}{{"id":"a"}}]"#, r#"{"id":"a"},"#.repeat(50_000))).unwrap_err();
    assert!(error.to_string().contains("50001"), "{error}");
}

/// Where a field stands makes no difference, and twice is once too often.
#[test]
fn the_order_of_fields_is_free() {
    let id = id();
    let parse = |text: String| Answer::parse(text.as_bytes(), id).map_err(|error| error.reason());
    let expected = Answer::devices(id, vec![Device::new("x")]);
    assert_eq!(
        parse(format!(r#"{{"devices":[{{"id":"x"}}],"later":[{{}}],"id":"{id}","protocol":1}}"#)),
        Ok(expected)
    );
    assert_eq!(
        parse(format!(r#"{{"devices":"of another form","id":"{id}","protocol":2}}"#)),
        Err("protocol")
    );
    assert_eq!(parse(format!(r#"{{"devices":[],"id":"{id}"}}"#)), Err("malformed"));
    assert_eq!(parse(format!(r#"{{"protocol":1,"devices":[],"devices":[],"id":"{id}"}}"#)), Err("malformed"));
    assert_eq!(
        parse(format!(r#"{{"protocol":1,"devices":[],"error":null,"id":"{id}"}}"#)),
        Ok(Answer::devices(id, vec![]))
    );
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
