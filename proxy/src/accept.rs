//! Connections, one after the other, whatever happens to single ones.
//!
//! A server whose incoming stream fails ends, and its end is that of every stream of the agent. But what can fail when a
//! connection is accepted passes: no descriptor is free, or the other side is gone again.

use std::io;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The pause after a failure: it keeps the loop from spinning while no descriptor is free.
const PAUSE: Duration = Duration::from_millis(50);

/// The connections of a socket. Never ends, never fails.
pub(crate) fn unix(listener: UnixListener) -> impl Stream<Item = io::Result<UnixStream>> + Send {
    unfold(Accepting::new(listener), |mut accepting| async move {
        loop {
            let accepted = accepting.listener.accept().await;
            if let Some((stream, _)) = accepting.judge(accepted).await {
                return Some((Ok(stream), accepting));
            }
        }
    })
}

/// The connections of a port. Never ends, never fails.
pub(crate) fn tcp(listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> + Send {
    unfold(Accepting::new(listener), |mut accepting| async move {
        loop {
            let accepted = accepting.listener.accept().await;
            if let Some((stream, _)) = accepting.judge(accepted).await {
                return Some((Ok(stream), accepting));
            }
        }
    })
}

struct Accepting<L> {
    listener: L,
    /// Told once, until it goes well again.
    told: bool,
}

impl<L> Accepting<L> {
    fn new(listener: L) -> Self {
        Self { listener, told: false }
    }

    async fn judge<T>(&mut self, accepted: io::Result<T>) -> Option<T> {
        match accepted {
            Ok(connection) => {
                self.told = false;
                Some(connection)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::warn!(%error, "cannot accept a connection, trying again");
                }
                tokio::time::sleep(PAUSE).await;
                None
            }
        }
    }
}
