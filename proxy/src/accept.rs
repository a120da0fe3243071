//! Connections, one after the other, whatever happens to single ones.
//!
//! A server whose incoming stream fails ends, and its end is that of every stream of the agent. But what can fail when a
//! connection is accepted passes: no descriptor is free, or the other side is gone again.
//!
//! The ports for kubelet and Prometheus can be reached by the handler, too, and by whoever reaches the pod: there each connection
//! costs memory that is the agent's streams'. So there are only so many, and a new one ends the oldest: whoever holds them all
//! keeps nobody out.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;
use tonic::transport::server::{Connected, TcpConnectInfo};

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

/// The newest connections of a port, at most so many at a time. Never ends, never fails.
pub(crate) fn newest(listener: TcpListener, most: usize) -> impl Stream<Item = io::Result<Newest>> + Send {
    let mut others: VecDeque<oneshot::Sender<()>> = VecDeque::new();
    tcp(listener).map(move |stream| {
        others.retain(|other| !other.is_closed());
        if others.len() >= most {
            // Dropping its end ends it.
            others.pop_front();
        }
        let (other, end) = oneshot::channel();
        others.push_back(other);
        stream.map(|stream| Newest { stream, end: Some(end) })
    })
}

/// A connection that ends when there are too many newer ones.
#[derive(Debug)]
pub(crate) struct Newest {
    stream: TcpStream,
    /// Nothing once it has ended.
    end: Option<oneshot::Receiver<()>>,
}

impl Newest {
    /// Fails when it has to end; else whoever waits is woken by the end, too.
    fn go_on(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.end.as_mut().is_some_and(|end| Pin::new(end).poll(context).is_pending()) {
            return Ok(());
        }
        self.end = None;
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl AsyncRead for Newest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.go_on(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Newest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        // It may wait for a reader who does not read.
        self.go_on(context)?;
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Newest {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
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
