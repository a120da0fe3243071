//! Golden files: what is on the wire today must be readable, and written the same, for as long as protocol 1 lives.
//! `docs/exchange.md` shows these very files.

use akri_exchange::{
    Answer, Device, DeviceSpec, Failure, Hello, Mount, Outcome, Properties, Request, RequestId, Wake, layout,
};

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes.pop(), Some(b'\n'));
    bytes
}

fn same(written: Vec<u8>, name: &str) {
    assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8(golden(name)).unwrap(), "{name}");
}

fn request() -> Request {
    Request {
        details_text: "descriptions:\n- foo0\n- foo1\n".into(),
        details_json: Some(r#"{"descriptions":["foo0","foo1"]}"#.into()),
        details_error: None,
        properties: [
            ("PASSWORD".to_owned(), Some(b"\xff\x00secret".to_vec())),
            ("EMPTY".to_owned(), Some(vec![])),
            ("ABSENT".to_owned(), None),
        ]
        .into_iter()
        .collect(),
    }
}

#[test]
fn hello() {
    let hello = Hello {
        name: "debugEcho".parse().unwrap(),
        version: "0.1.0".into(),
        instance: "5f0c2a9be1d34c77".into(),
        shared: true,
        rescan_ms: 60_000,
        removal_grace_ms: 0,
    };
    same(hello.to_json(), "handler.json");
    assert_eq!(Hello::parse(&golden("handler.json")).unwrap(), hello);
    let least = Hello::parse(&golden("handler-least.json")).unwrap();
    assert_eq!((least.name.as_str(), least.shared, least.rescan_ms), ("mine", false, 0));
}

#[test]
fn request_and_its_id() {
    same(request().to_json().unwrap(), "request.json");
    let id = request().id();
    assert_eq!(id.to_string(), "c276611a7ed67b4c9f815915443c08e357f65dd4fcdfd6ed64deba008934ec67");
    assert_eq!(Request::parse(&golden("request.json"), id).unwrap(), request());
    assert_eq!(layout::message(id), format!("{id}.json"));
}

#[test]
fn id_of_the_empty_request() {
    let id = RequestId::of("", &Properties::default());
    // SHA-256 of eight zero bytes: the length of the empty details.
    assert_eq!(id.to_string(), "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc");
}

#[test]
fn answers() {
    let id = request().id();
    let device = Device {
        mounts: vec![Mount {
            container_path: "/data".into(),
            host_path: "/dev/shm".into(),
            read_only: false,
        }],
        device_specs: vec![DeviceSpec {
            container_path: "/dev/video0".into(),
            host_path: "/dev/video2".into(),
            permissions: "rwm".into(),
        }],
        ..Device::new("foo0").property("DEBUG_ECHO_DESCRIPTION", "foo0")
    };
    let devices = Answer::devices(id, vec![device, Device::new("foo1")]);
    same(devices.to_json(), "answer-devices.json");
    assert_eq!(Answer::parse(&golden("answer-devices.json"), id).unwrap(), devices);

    same(Answer::devices(id, vec![]).to_json(), "answer-empty.json");
    let failure = Failure::invalid_details("missing field `descriptions`").at("descriptions");
    same(Answer::failed(id, failure).to_json(), "answer-invalid-details.json");
    let later = Answer::parse(&golden("answer-later-version.json"), id).unwrap();
    assert_eq!(later.outcome, Outcome::Failed(Failure::unavailable("too hot")));
}

#[test]
fn wake_bytes() {
    assert_eq!((Wake::Requests.byte(), Wake::Everything.byte()), (b'r', b'a'));
    assert_eq!(
        (Wake::of(b'r'), Wake::of(b'a'), Wake::of(0)),
        (Wake::Requests, Wake::Everything, Wake::Everything)
    );
}
