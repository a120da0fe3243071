//! What the played agent says of what it sees, a line of JSON each.

use serde::{Deserialize, Serialize};

/// Something that the agent saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// A proxy registered.
    Registered {
        /// At which of the agent's sockets, counted from 1: what came by an older one may be said after a newer one is there.
        socket: u64,
        /// Its process.
        pid: i32,
        endpoint: String,
        /// Whether its endpoint could be connected to at that moment.
        connectable: bool,
    },
    /// A Discover got its headers.
    Opened { stream: u64, config: usize, pid: i32, headers_ms: u64 },
    /// A Discover was refused before the headers, or the endpoint could not be reached (`pid` 0).
    Refused { config: usize, pid: i32, code: String, message: String },
    /// A list came.
    Listed { stream: u64, ids: Vec<String> },
    /// A stream ended, after its headers.
    Ended { stream: u64, code: String },
}
