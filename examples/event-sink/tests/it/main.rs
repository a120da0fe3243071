//! The service over a real socket.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const HEAD: &str = "POST / HTTP/1.1\r\nHost: x\r\nce-specversion: 1.0\r\nce-type: t\r\nce-source: /x\r\n\
                    ce-id: first\r\nce-time: 2026-01-02T03:04:05Z\r\nContent-Type: application/json\r\n";

async fn say(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

fn event(data: &str) -> String {
    format!("{HEAD}Content-Length: {}\r\n\r\n{data}", data.len())
}

#[tokio::test]
async fn events_are_counted_and_others_are_told_why_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let asking = async {
        let receipt = say(address, &event(r#"{"sequence":1}"#)).await;
        assert!(receipt.starts_with("HTTP/1.1 200 OK\r\n"), "{receipt}");
        assert!(receipt.contains("ce-specversion: 1.0\r\n"), "{receipt}");
        assert!(receipt.ends_with(r#"{"count":1,"received":"first"}"#), "{receipt}");
        let refused = say(address, &event("no JSON")).await;
        assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("has to be JSON"), "{refused}");
        let long = say(address, &format!("{HEAD}Content-Length: 70000\r\n\r\n{}", "x".repeat(70_000))).await;
        assert!(long.starts_with("HTTP/1.1 413 "), "{long}");
        let health = say(address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
        let second = say(address, &event("{}")).await;
        assert!(second.contains(r#""count":2"#), "what was refused does not count: {second}");
        stop.send(()).unwrap();
    };
    let served = event_sink::serve(listener, std::io::sink(), async { stopped.await.unwrap() });
    tokio::join!(served, asking);
}
