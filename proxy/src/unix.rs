//! gRPC over Unix sockets, client side.

use std::error::Error;
use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// gRPC wants an authority; over a Unix socket nobody reads it. (One constant, not one more of Akri's dummy addresses.)
pub(crate) const AUTHORITY: &str = "http://localhost";

/// Connects to a socket by its path, which may hold any character.
pub(crate) async fn connect(endpoint: Endpoint, path: PathBuf) -> Result<Channel, tonic::transport::Error> {
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(connector).await
}

/// The innermost cause: the layers around it only say that something went wrong.
pub(crate) fn why(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
