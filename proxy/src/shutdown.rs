//! The end, in one place: SIGTERM and SIGINT, and who waits for them.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Told when the end begins. Clones hear the same.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// Begins the end.
#[derive(Debug)]
pub struct ShutdownSwitch(watch::Sender<bool>);

/// A switch and what it switches.
pub fn shutdown() -> (ShutdownSwitch, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownSwitch(sender), Shutdown(receiver))
}

impl ShutdownSwitch {
    /// Begins the end; doing so twice is no error.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns when the end has begun, or when nobody is left who could begin it.
    pub async fn begun(&self) {
        let _ = self.0.clone().wait_for(|begun| *begun).await;
    }
}

/// Waits for the first SIGTERM or SIGINT.
///
/// # Errors
/// Where no handler can be installed.
pub async fn signalled() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
