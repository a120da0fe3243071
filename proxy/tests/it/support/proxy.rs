//! The proxy, in this process.

use std::net::SocketAddr;
use std::time::Duration;

use akri_proxy::policy::Policy;
use akri_proxy::shutdown::{ShutdownSwitch, shutdown};
use akri_proxy::state::State;
use akri_proxy::{Bound, ServeConfig, ServeError, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::{PATIENCE, Place};

/// A running proxy.
pub struct Proxy {
    switch: ShutdownSwitch,
    task: JoinHandle<Result<(), ServeError>>,
    pub bound: Bound,
}

/// The configuration that tests begin from: quick, silent about repetitions, on free ports.
pub fn config(place: &Place) -> ServeConfig {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    ServeConfig {
        directory: place.akri(),
        name: Some("debugEcho".parse().unwrap()),
        network: None,
        exchange: place.exchange(),
        wake_on: Vec::new(),
        health: Some(any),
        metrics: Some(any),
        removal_grace: None,
        first_answer: Duration::from_secs(5),
        answer_deadline: Duration::from_secs(60),
        repeat: Vec::new(),
        shutdown_grace: Duration::from_secs(5),
        policy: Policy::default(),
    }
}

impl Proxy {
    pub async fn start(config: ServeConfig) -> Self {
        let (switch, ending) = shutdown();
        let (sender, bound) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(serve(config, ending, |bound| sender.send(bound).unwrap()));
        let bound = bound.await.expect("the proxy did not start");
        Self { switch, task, bound }
    }

    /// Asks it to leave, and waits until it has.
    pub async fn stop(self) {
        self.switch.begin();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the proxy did not leave").unwrap().unwrap();
    }

    /// Waits until its state fulfils a condition.
    pub async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) -> State {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let state = self.state().await;
                if holds(&state) {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        match waited.await {
            Ok(state) => state,
            Err(_) => panic!("never: {what}; the state is {:#?}", self.state().await),
        }
    }

    pub async fn state(&self) -> State {
        serde_json::from_str(&self.page("/status").await).unwrap()
    }

    /// A page of the metrics server.
    pub async fn page(&self, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.bound.metrics.unwrap()).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}
