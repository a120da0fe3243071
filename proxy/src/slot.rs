//! Where the agent finds this proxy: a socket slot of its own, or a port.
//!
//! The agent keeps endpoint names for ever, so there are few: `<name>-wasm-<n>.sock`, and a proxy takes the lowest one
//! that no living proxy holds. Two proxies of one name never share a socket, and a dead one's name is used again.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use akri_exchange::HandlerName;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

use crate::lock::LockFile;
use crate::pb::register_discovery_handler_request::EndpointType;

/// Slots for one name on one node. Two pods of two proxies, during an update, need four.
const SLOTS: u32 = 16;
/// The longest path of a Unix socket: `sun_path` less its final NUL.
const SOCKET_PATH_BYTES: usize = 107;

/// A listening endpoint.
#[derive(Debug)]
pub(crate) struct Slot {
    /// What the agent is told.
    pub(crate) endpoint: String,
    pub(crate) kind: EndpointType,
    held: Option<(LockFile, PathBuf)>,
}

/// The socket that belongs to a [`Slot`].
#[derive(Debug)]
pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Why there is no endpoint.
#[derive(Debug, Error)]
pub enum SlotError {
    /// The directory or a file in it cannot be used.
    #[error("cannot use the discovery handlers' directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// All are held.
    #[error("{SLOTS} proxies for handler {name} run on this node already; is an old pod still there?")]
    Full {
        /// The handler.
        name: HandlerName,
    },
    /// Unix sockets have short names.
    #[error("the socket's path {path} is longer than {SOCKET_PATH_BYTES} bytes; use a shorter directory")]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// The port cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was tried.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

impl Slot {
    /// Takes a socket slot in the discovery handlers' directory and listens on it.
    pub(crate) fn unix(directory: &Path, name: &HandlerName) -> Result<(Self, Listener), SlotError> {
        let failed = |source: io::Error| SlotError::Directory { path: directory.to_owned(), source };
        let opened = std::fs::File::open(directory).map_err(failed)?;
        for n in 0..SLOTS {
            let Some(lock) =
                LockFile::try_take(&opened, &format!(".{name}-wasm-{n}.lock")).map_err(failed)?
            else {
                continue;
            };
            let path = directory.join(format!("{name}-wasm-{n}.sock"));
            if path.as_os_str().len() > SOCKET_PATH_BYTES {
                lock.remove();
                return Err(SlotError::PathTooLong { path });
            }
            // What a dead proxy left; we hold its lock.
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
            let listener = UnixListener::bind(&path).map_err(failed)?;
            // The agent runs as root. Others on the node have no business with credentials in requests.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
            let endpoint = path.display().to_string();
            return Ok((
                Self { endpoint, kind: EndpointType::Uds, held: Some((lock, path)) },
                Listener::Unix(listener),
            ));
        }
        Err(SlotError::Full { name: name.clone() })
    }

    /// Listens on a port of the pod.
    pub(crate) async fn network(ip: IpAddr, port: u16) -> Result<(Self, Listener), SlotError> {
        let address = SocketAddr::new(ip, port);
        let failed = |source| SlotError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(failed)?);
        Ok((Self { endpoint, kind: EndpointType::Network, held: None }, Listener::Tcp(listener)))
    }

    /// Takes the socket away, so that nobody comes any more; connections that are open stay.
    pub(crate) fn close(&mut self) {
        if let Some((lock, path)) = self.held.take() {
            // A proxy that took the directory over removes it itself.
            let _ = std::fs::remove_file(path);
            lock.remove();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_lowest_free_slot_is_taken_and_a_dead_ones_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let name: HandlerName = "debugEcho".parse().unwrap();
        let take = || Slot::unix(folder.path(), &name).unwrap();
        let number = |slot: &Slot| slot.endpoint.rsplit('/').next().unwrap().to_owned();
        let (mut first, first_listener) = take();
        let (mut second, _second_listener) = take();
        assert_eq!(
            (number(&first), number(&second)),
            ("debugEcho-wasm-0.sock".into(), "debugEcho-wasm-1.sock".into())
        );

        // A crash: the socket's file stays, the lock does not.
        drop((first.held.take(), first_listener));
        assert!(folder.path().join("debugEcho-wasm-0.sock").exists());
        let (mut third, _third_listener) = take();
        assert_eq!(number(&third), "debugEcho-wasm-0.sock");

        third.close();
        second.close();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn errors_say_what_to_do() {
        let name: HandlerName = "debugEcho".parse().unwrap();
        let error = Slot::unix(Path::new("/nonexistent"), &name).unwrap_err().to_string();
        assert!(error.contains("/nonexistent"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("x".repeat(100));
        std::fs::create_dir(&long).unwrap();
        assert!(Slot::unix(&long, &name).unwrap_err().to_string().contains("shorter"));
        assert_eq!(std::fs::read_dir(&long).unwrap().count(), 0);
    }
}
