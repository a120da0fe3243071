//! Who is shown credentials, and who never is.

use wasm_image::{Credential, FailureKind, Secret};

use super::double::{Double, Fault, IDENTITY, PASSWORD, TOKEN, USER, Wants, basic};
use super::{job, pushed, run, text};
use crate::support::{Layout, temp};

pub(crate) fn credential() -> Credential {
    Credential::Basic { username: USER.to_owned(), password: Secret::new(PASSWORD.to_owned()) }
}

fn token_from(double: &Double) -> Wants {
    Wants::Token(format!("http://{}/token", double.host()))
}

fn push(double: &Double, credential: Option<Credential>) -> Result<(), String> {
    let layout = Layout::new();
    let (mut push, _) = job(layout.path().to_str().unwrap(), &[&double.name("a/hello:v1")]);
    push.to.credentials.given = credential.map(|credential| (credential, "the test"));
    let failed = |error: wasm_image::TransferError| {
        assert_eq!(error.kind(), FailureKind::Authentication, "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
        text(error)
    };
    run(&push).map(|_| ()).map_err(failed)
}

#[test]
fn basic_and_token_and_identity() {
    for wants_token in [false, true] {
        let double = Double::new();
        let wants = if wants_token { token_from(&double) } else { Wants::Basic };
        double.with(|state| state.wants = wants);
        push(&double, Some(credential())).unwrap();
        let seen = double.seen();
        // One request finds out, one token serves all.
        assert_eq!(seen.iter().filter(|seen| seen.authorization.is_none()).count(), 1);
        assert_eq!(double.count("GET", "/token"), usize::from(wants_token));
        let expected = if wants_token { format!("Bearer {TOKEN}") } else { basic() };
        let to_registry = seen[1..].iter().filter(|seen| !seen.path.starts_with("/token"));
        assert!(to_registry.clone().count() > 5);
        assert!(to_registry.into_iter().all(|seen| seen.authorization.as_deref() == Some(&expected)));
    }
    let double = Double::new();
    double.with(|state| state.wants = token_from(&double));
    push(&double, Some(Credential::Identity(Secret::new(IDENTITY.to_owned())))).unwrap();
    assert_eq!((double.count("POST", "/token"), double.count("GET", "/token")), (1, 0));
}

#[test]
fn missing_and_wrong_credentials() {
    for wants_token in [false, true] {
        let double = Double::new();
        double.with(|state| state.wants = if wants_token { token_from(&double) } else { Wants::Basic });
        let missing = push(&double, None).unwrap_err();
        assert!(missing.contains("WASM_IMAGE_USERNAME"), "{missing}");
        let wrong = Secret::new("hunter2-wrong".to_owned());
        let wrong = Credential::Basic { username: USER.to_owned(), password: wrong };
        let wrong = push(&double, Some(wrong)).unwrap_err();
        assert!(wrong.contains("refuses the credentials from the test (user me)"), "{wrong}");
        assert!(!wrong.contains("hunter2"), "{wrong}");
    }
}

#[test]
fn an_old_token_is_renewed() {
    let double = Double::new();
    double.with(|state| state.wants = token_from(&double));
    let challenge = format!("Bearer realm=\"http://{}/token\"", double.host());
    let old = Fault::Status(401, vec![("www-authenticate", challenge)], String::new());
    double.fault(1, "PUT", "/blobs/uploads/", old.clone());
    double.fault(1, "PUT", "/manifests/", old);
    push(&double, Some(credential())).unwrap();
    assert!(double.count("GET", "/token") >= 3);
}

#[test]
fn an_open_realm_is_refused() {
    let double = Double::new();
    for realm in ["http://192.0.2.1/token", "ftp://127.0.0.1/token", "no address"] {
        double.with(|state| state.wants = Wants::Token(realm.to_owned()));
        let layout = Layout::new();
        let (mut push, _) = job(layout.path().to_str().unwrap(), &[&double.name("a/hello:v1")]);
        push.to.credentials.given = Some((credential(), "the test"));
        let text = text(run(&push).unwrap_err());
        assert!(text.contains("not guarded by TLS") || text.contains("no address"), "{text}");
        assert!(double.seen().iter().all(|seen| seen.authorization.is_none()));
    }
}

#[test]
fn a_token_service_without_bounds_or_sense() {
    let double = Double::new();
    double.with(|state| state.wants = token_from(&double));
    let service = Double::new();
    double.with(|state| state.wants = Wants::Token(format!("http://{}/v2/x", service.host())));
    for (fault, words) in [
        (Fault::Endless, "sends more than 262144 bytes"),
        (Fault::Content(b"{}".to_vec(), true), "gives no token"),
        (Fault::Content(b"hunter2".to_vec(), true), "gives no valid answer"),
    ] {
        service.fault(1, "GET", "/v2/x", fault);
        let layout = Layout::new();
        let (push, _) = job(layout.path().to_str().unwrap(), &[&double.name("a/hello:v1")]);
        let text = text(run(&push).unwrap_err());
        assert!(text.contains(words) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_redirect_carries_no_credentials_along() {
    let (registry, storage) = (Double::new(), Double::new());
    pushed(&registry, "a/hello:v1");
    let blobs = registry.with(|state| state.blobs.clone());
    storage.with(|state| state.blobs = blobs);
    registry.with(|state| state.wants = Wants::Basic);
    let paths: Vec<_> = storage.with(|state| state.blobs.keys().map(|key| key.1.clone()).collect());
    for digest in &paths {
        let target = format!("http://{}/v2/a/hello/blobs/{digest}", storage.host());
        registry.fault(1, "GET", digest, Fault::Status(307, vec![("location", target)], String::new()));
    }
    let folder = temp();
    let place = format!("{}/out/", folder.path().display());
    let (mut pull, _) = job(&registry.name("a/hello:v1"), &[&place]);
    pull.from.credentials.given = Some((credential(), "the test"));
    run(&pull).unwrap();
    assert_eq!(storage.seen().len(), 4);
    assert!(storage.seen().iter().all(|seen| seen.authorization.is_none()));
    assert!(registry.seen().iter().any(|seen| seen.authorization == Some(basic())));
    // In circles, and to where there is no TLS.
    for (target, words) in
        [("/v2/a/hello/manifests/v1", "redirects more than 5"), ("http://192.0.2.1/", "refused")]
    {
        let fault = Fault::Status(302, vec![("location", target.to_owned())], String::new());
        registry.fault(6, "GET", "/manifests/v1", fault);
        let text = text(run(&pull).unwrap_err());
        assert!(text.contains(words), "{text}");
        registry.with(|state| state.faults.clear());
    }
}
