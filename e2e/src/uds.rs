//! gRPC over a Unix socket, client side.

use std::path::Path;

use anyhow::Context;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// gRPC wants an authority; over a Unix socket nobody reads it.
const AUTHORITY: &str = "http://localhost";

pub(crate) async fn connect(path: &Path) -> anyhow::Result<Channel> {
    let socket = path.to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    Endpoint::from_static(AUTHORITY)
        .connect_with_connector(connector)
        .await
        .with_context(|| format!("cannot connect to {}", path.display()))
}
