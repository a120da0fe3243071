//! A registry on loopback that is correct, and misbehaves on order.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wasm_image::Digest;

pub(crate) const USER: &str = "me";
pub(crate) const PASSWORD: &str = "hunter2-correct-horse";
pub(crate) const TOKEN: &str = "granted-token";
pub(crate) const IDENTITY: &str = "refresh-hunter2-token";

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// How the registry wants to be shown who asks.
#[derive(Clone, Debug, Default)]
pub(crate) enum Wants {
    #[default]
    Nothing,
    Basic,
    /// From this realm.
    Token(String),
}

/// One misbehaviour, for the first requests that match, as often as it stands in the list.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Status(u16, Vec<(&'static str, String)>, String),
    /// Answer with so many bytes of the blob, then cut the connection.
    CutAnswer(usize),
    /// Read so many bytes of the request, then cut the connection.
    CutRequest(usize),
    /// The blob or manifest is this instead; `true`: with a length that tells so.
    Content(Vec<u8>, bool),
    /// Bytes without end.
    Endless,
    /// No answer at all.
    Silence,
    /// Answer as always, with another header.
    Header(&'static str, String),
}

/// What a request was.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
    pub range: Option<String>,
}

#[derive(Default)]
pub(crate) struct State {
    pub blobs: HashMap<(String, String), Bytes>,
    pub manifests: HashMap<(String, String), (String, Bytes)>,
    pub tags: Vec<String>,
    pub wants: Wants,
    /// Method, part of the path, what happens.
    pub faults: VecDeque<(&'static str, String, Fault)>,
    pub seen: Vec<Seen>,
    pub uploads: HashMap<String, Vec<u8>>,
    pub no_monolithic: bool,
    pub no_mount: bool,
    pub no_range: bool,
    /// Uploads go to this address instead.
    pub upload_host: Option<String>,
    pub min_chunk: Option<u64>,
    pub tag_page: usize,
    /// It lists referrers by itself, so many on a page; none: as registries before the specification's 1.1.
    pub referrer_page: Option<usize>,
    next_upload: usize,
}

/// A registry that runs until it is dropped.
pub(crate) struct Double {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
    running: Option<(tokio::sync::oneshot::Sender<()>, std::thread::JoinHandle<()>)>,
}

impl Double {
    pub(crate) fn new() -> Self {
        Self::start(None)
    }

    /// With TLS, by this certificate.
    pub(crate) fn with_tls(config: tokio_rustls::rustls::ServerConfig) -> Self {
        Self::start(Some(tokio_rustls::TlsAcceptor::from(Arc::new(config))))
    }

    fn start(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { tag_page: 1000, ..State::default() }));
        let shared = Arc::clone(&state);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener, shared, tls) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, running: Some((stop, thread)) }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    pub(crate) fn fault(&self, times: usize, method: &'static str, path: &str, fault: Fault) {
        self.with(|state| {
            state.faults.extend((0..times).map(|_| (method, path.to_owned(), fault.clone())));
        });
    }

    /// How many requests there were of this method whose path holds `part`.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method == method && seen.path.contains(part)).count()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.with(|state| state.seen.clone())
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // A panic there has failed the test already, by what the client saw.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Mutex<State>>, tls: Option<tokio_rustls::TlsAcceptor>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| answer(Arc::clone(&shared), request));
            let server = hyper::server::conn::http1::Builder::new();
            // A connection that breaks is what some tests are about.
            let _ = match tls {
                None => server.serve_connection(TokioIo::new(stream), service).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => server.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => return,
                },
            };
        });
    }
}

fn reply(status: u16, headers: &[(&str, String)], body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    let body = http_body_util::Full::new(body.into()).map_err(|never: Infallible| match never {});
    response.body(body.boxed_unsync()).unwrap()
}

/// Some bytes, then an end that is none.
struct Cut {
    bytes: Option<Bytes>,
    /// The server sends what it has whenever the body has nothing more to say for now.
    pauses: u8,
}

impl futures_util::Stream for Cut {
    type Item = Result<Frame<Bytes>, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(bytes) = self.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if self.pauses > 0 {
            self.pauses -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::Error::other("cut"))))
    }
}

fn challenge(wants: &Wants) -> Option<String> {
    match wants {
        Wants::Nothing => None,
        Wants::Basic => Some("Basic realm=\"double\"".to_owned()),
        Wants::Token(realm) => Some(format!("Bearer realm=\"{realm}\",service=\"double\"")),
    }
}

async fn answer(
    shared: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::io::Error> {
    let (parts, mut body) = request.into_parts();
    let method = parts.method.to_string();
    let path = parts.uri.to_string();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let authorization = header("authorization");
    let (fault, wants) = {
        let mut state = shared.lock().unwrap();
        state.seen.push(Seen {
            method: method.clone(),
            path: path.clone(),
            authorization: authorization.clone(),
            range: header("range"),
        });
        let at = state.faults.iter().position(|(on, part, _)| *on == method && path.contains(part.as_str()));
        (at.and_then(|at| state.faults.remove(at)).map(|(_, _, fault)| fault), state.wants.clone())
    };
    if path.starts_with("/token") {
        return Ok(token(&method, authorization.as_deref(), body).await);
    }
    let mut instead = None;
    let mut cut = None;
    let mut extra = None;
    match fault {
        Some(Fault::Status(status, headers, text)) => {
            // Read to the end, so that the answer is not lost with the connection.
            while let Some(Ok(_)) = body.frame().await {}
            return Ok(reply(status, &headers, text));
        }
        Some(Fault::CutRequest(most)) => {
            let mut got = Vec::new();
            while got.len() < most {
                match body.frame().await {
                    Some(Ok(frame)) => got.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
                    _ => break,
                }
            }
            got.truncate(most);
            if method == "PATCH" {
                let id = upload_of(&path);
                shared.lock().unwrap().uploads.get_mut(&id).unwrap().extend(got);
            }
            return Err(std::io::Error::other("cut"));
        }
        Some(Fault::Silence) => std::future::pending::<()>().await,
        Some(Fault::Endless) => {
            let endless =
                futures_util::stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![b' '; 65536]))));
            return Ok(Response::new(BodyExt::boxed_unsync(StreamBody::new(endless))));
        }
        Some(Fault::Content(bytes, true)) => return Ok(reply(200, &[], bytes)),
        Some(Fault::Content(bytes, false)) => instead = Some(bytes),
        Some(Fault::CutAnswer(most)) => cut = Some(most),
        Some(Fault::Header(name, value)) => extra = Some((name, value)),
        None => {}
    }
    let good = match &wants {
        Wants::Nothing => true,
        Wants::Basic => authorization == Some(basic()),
        Wants::Token(_) => authorization == Some(format!("Bearer {TOKEN}")),
    };
    if !good {
        while let Some(Ok(_)) = body.frame().await {}
        let challenge = challenge(&wants).unwrap();
        return Ok(reply(
            401,
            &[("www-authenticate", challenge)],
            "{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}",
        ));
    }
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let range = header("range");
    let content_range = header("content-range");
    let content_type = header("content-type").unwrap_or_default();
    let mut response = {
        let mut state = shared.lock().unwrap();
        route(&mut state, &method, &path, body, range, content_range, content_type)
    };
    if let Some((name, value)) = extra {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    if let Some(bytes) = instead {
        // In a form that tells no length.
        let stream = futures_util::stream::iter([Ok(Frame::data(Bytes::from(bytes)))]);
        return Ok(Response::new(BodyExt::boxed_unsync(StreamBody::new(stream))));
    }
    if let Some(most) = cut {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await?.to_bytes();
        let some = Cut { bytes: Some(bytes.slice(..most.min(bytes.len()))), pauses: 3 };
        let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(some)));
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        response.headers_mut().insert("content-length", bytes.len().into());
        return Ok(response);
    }
    Ok(response)
}

pub(crate) fn basic() -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    format!("Basic {pair}")
}

async fn token(method: &str, authorization: Option<&str>, body: Incoming) -> Response<Body> {
    let form = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let good = match method {
        "POST" => {
            form.contains(&format!("refresh_token={IDENTITY}")) && form.contains("grant_type=refresh_token")
        }
        _ => authorization == Some(basic().as_str()),
    };
    if good {
        reply(200, &[], json!({ "token": TOKEN, "expires_in": 300 }).to_string())
    } else {
        reply(401, &[], json!({ "errors": [{ "code": "DENIED", "message": "who are you" }] }).to_string())
    }
}

fn subject_of(manifest: &[u8]) -> Option<String> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    Some(manifest["subject"]["digest"].as_str()?.to_owned())
}

fn upload_of(path: &str) -> String {
    path.split("/blobs/uploads/").nth(1).unwrap().split('?').next().unwrap().to_owned()
}

fn query(path: &str, key: &str) -> Option<String> {
    let query = path.split_once('?')?.1;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}=")))?;
    Some(value.replace("%3A", ":").replace("%2F", "/"))
}

fn not_found() -> Response<Body> {
    reply(404, &[], json!({ "errors": [{ "code": "NAME_UNKNOWN", "message": "not known" }] }).to_string())
}

fn route(
    state: &mut State,
    method: &str,
    path: &str,
    body: Bytes,
    range: Option<String>,
    content_range: Option<String>,
    content_type: String,
) -> Response<Body> {
    let plain = path.split('?').next().unwrap().trim_start_matches("/v2/").to_owned();
    if let Some(repository) = plain.strip_suffix("/tags/list") {
        let last = query(path, "last").unwrap_or_default();
        let from = state.tags.iter().position(|tag| *tag == last).map_or(0, |at| at + 1);
        let page: Vec<_> = state.tags[from..].iter().take(state.tag_page).cloned().collect();
        let more = from + page.len() < state.tags.len();
        let link = page.last().map(|last| format!("</v2/{repository}/tags/list?last={last}>; rel=\"next\""));
        let headers: Vec<_> = link.into_iter().filter(|_| more).map(|link| ("link", link)).collect();
        return reply(200, &headers, json!({ "name": repository, "tags": page }).to_string());
    }
    if let (Some((repository, subject)), Some(page)) = (plain.split_once("/referrers/"), state.referrer_page)
    {
        let mut about: Vec<Value> = state
            .manifests
            .iter()
            .filter(|((of, name), (_, bytes))| {
                of == repository && name.contains(':') && subject_of(bytes).as_deref() == Some(subject)
            })
            .map(|((_, digest), (kind, bytes))| json!({ "mediaType": kind, "digest": digest, "size": bytes.len() }))
            .collect();
        about.sort_by_key(|entry| entry["digest"].as_str().map(str::to_owned));
        let from = query(path, "from").map_or(0, |from| from.parse::<usize>().unwrap());
        let more = from + page < about.len();
        let mut headers = vec![("content-type", wasm_image::spec::MEDIA_INDEX.to_owned())];
        if more {
            let next = format!("</v2/{repository}/referrers/{subject}?from={}>; rel=\"next\"", from + page);
            headers.push(("link", next));
        }
        let about: Vec<_> = about.into_iter().skip(from).take(page).collect();
        let list =
            json!({ "schemaVersion": 2, "mediaType": wasm_image::spec::MEDIA_INDEX, "manifests": about });
        return reply(200, &headers, list.to_string());
    }
    if let Some((repository, name)) = plain.split_once("/manifests/") {
        let key = (repository.to_owned(), name.to_owned());
        if method == "PUT" {
            let digest = Digest::of(&body).to_string();
            let subject = subject_of(&body);
            state
                .manifests
                .insert((repository.to_owned(), digest.clone()), (content_type.clone(), body.clone()));
            state.manifests.insert(key, (content_type, body));
            let place = format!("/v2/{repository}/manifests/{digest}");
            let mut headers = vec![("docker-content-digest", digest), ("location", place)];
            if let (Some(_), Some(subject)) = (state.referrer_page, subject) {
                headers.push(("oci-subject", subject));
            }
            return reply(201, &headers, "");
        }
        return match state.manifests.get(&key) {
            Some((kind, bytes)) => {
                let digest = Digest::of(bytes).to_string();
                reply(
                    200,
                    &[("content-type", kind.clone()), ("docker-content-digest", digest)],
                    bytes.clone(),
                )
            }
            None => not_found(),
        };
    }
    if let Some((repository, _)) = plain.split_once("/blobs/uploads/") {
        return upload(state, method, path, repository, body, content_range);
    }
    let Some((repository, digest)) = plain.split_once("/blobs/") else { return not_found() };
    let Some(bytes) = state.blobs.get(&(repository.to_owned(), digest.to_owned())) else {
        return not_found();
    };
    let start = range
        .filter(|_| !state.no_range)
        .map(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap());
    match start {
        Some(start) => {
            let text = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            reply(206, &[("content-range", text)], bytes.slice(start..))
        }
        None if method == "HEAD" => reply(200, &[("content-length", bytes.len().to_string())], ""),
        None => reply(200, &[], bytes.clone()),
    }
}

fn upload(
    state: &mut State,
    method: &str,
    path: &str,
    repository: &str,
    body: Bytes,
    content_range: Option<String>,
) -> Response<Body> {
    if method == "POST" {
        if let (Some(digest), Some(from)) = (query(path, "mount"), query(path, "from"))
            && !state.no_mount
            && let Some(bytes) = state.blobs.get(&(from, digest.clone())).cloned()
        {
            state.blobs.insert((repository.to_owned(), digest), bytes);
            return reply(201, &[], "");
        }
        state.next_upload += 1;
        let id = format!("u{}", state.next_upload);
        state.uploads.insert(id.clone(), Vec::new());
        let host = state.upload_host.clone().unwrap_or_default();
        let mut headers =
            vec![("location", format!("{host}/v2/{repository}/blobs/uploads/{id}?state=s%2B1"))];
        headers.extend(state.min_chunk.map(|min| ("oci-chunk-min-length", min.to_string())));
        return reply(202, &headers, "");
    }
    let id = upload_of(path);
    assert_eq!(query(path, "state").as_deref(), Some("s%2B1"), "the location's own query is kept");
    let Some(content) = state.uploads.get_mut(&id) else { return not_found() };
    let location = format!("/v2/{repository}/blobs/uploads/{id}?state=s%2B1");
    let end = |content: &Vec<u8>| format!("0-{}", content.len().saturating_sub(1));
    match method {
        "GET" => reply(204, &[("location", location), ("range", end(content))], ""),
        "PATCH" => {
            if let Some(range) = content_range
                && !range.starts_with(&format!("{}-", content.len()))
            {
                return reply(416, &[("location", location), ("range", end(content))], "");
            }
            content.extend_from_slice(&body);
            reply(202, &[("location", location), ("range", end(content))], "")
        }
        "PUT" if state.no_monolithic && !body.is_empty() => reply(413, &[], "too large"),
        "PUT" => {
            content.extend_from_slice(&body);
            let content = Bytes::from(state.uploads.remove(&id).unwrap());
            let digest = query(path, "digest").unwrap();
            if Digest::of(&content).to_string() != digest {
                return reply(400, &[], json!({ "errors": [{ "code": "DIGEST_INVALID" }] }).to_string());
            }
            let place = format!("/v2/{repository}/blobs/{digest}");
            state.blobs.insert((repository.to_owned(), digest), content);
            reply(201, &[("location", place)], "")
        }
        _ => reply(405, &[], ""),
    }
}
