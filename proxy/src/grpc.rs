//! Discover over HTTP/2: takes the call apart and sends lists as they are.
//!
//! By hand, for tonic's server encodes a message for every stream anew, into a buffer of that stream's own. Here all streams of a
//! job, and the connections that have not sent them yet, hold the same bytes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body as HttpBody, Bytes, Frame};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::codec::{Codec, Streaming};
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::server::NamedService;
use tonic_prost::ProstCodec;

use crate::pb::DiscoverRequest;
use crate::pb::discovery_handler_server::SERVICE_NAME;
use crate::service::Service;
use crate::stream::Lists;

/// The service's only method (`proto/discovery.proto`).
const DISCOVER: &str = "Discover";

/// Akri's `DiscoveryHandler`, for a tonic server.
#[derive(Clone, Debug)]
pub(crate) struct DiscoveryServer(Arc<Service>);

impl DiscoveryServer {
    pub(crate) fn new(service: Service) -> Self {
        Self(Arc::new(service))
    }
}

impl NamedService for DiscoveryServer {
    const NAME: &'static str = SERVICE_NAME;
}

impl tower::Service<Request<Body>> for DiscoveryServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move { Ok(respond(&service, request).await.unwrap_or_else(Status::into_http)) })
    }
}

async fn respond(service: &Service, request: Request<Body>) -> Result<Response<Body>, Status> {
    if request.uri().path().strip_prefix('/').and_then(|path| path.split_once('/'))
        != Some((SERVICE_NAME, DISCOVER))
    {
        return Err(Status::unimplemented("discovery handlers have no method but Discover"));
    }
    let decoder = ProstCodec::<(), DiscoverRequest>::default().decoder();
    let mut messages = Streaming::new_request(decoder, request.into_body(), None, None);
    let message = messages.message().await?.ok_or_else(|| Status::internal("a call without a message"))?;
    let lists = service.discover(message).await?;
    let mut response = Response::new(Body::new(Frames(Some(lists))));
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    Ok(response)
}

/// Lists as the frames of a response; `None` after the last one.
struct Frames(Option<Lists>);

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(lists) = &mut self.0 else { return Poll::Ready(None) };
        let frame = match ready!(lists.as_mut().poll_next(context)) {
            Some(list) => Frame::data(list.frame()),
            None => {
                self.0 = None;
                let mut trailers = HeaderMap::new();
                Status::ok("").add_header(&mut trailers).expect("a status without a message is headers");
                Frame::trailers(trailers)
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }
}
