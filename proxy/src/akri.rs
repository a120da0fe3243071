//! What Akri's Agent fixes for every discovery handler (project-akri/akri 0.13): each constant stands here once.

/// The Agent's socket in the discovery handlers' directory (`discovery-utils`, `AGENT_REGISTRATION_SOCKET_NAME`).
pub const REGISTRATION_SOCKET: &str = "agent-registration.sock";
/// Environment variable for that directory.
pub const DIRECTORY_VARIABLE: &str = "DISCOVERY_HANDLERS_DIRECTORY";
/// Its default, which Akri's Helm chart also sets.
pub const DEFAULT_DIRECTORY: &str = "/var/lib/akri";
/// The largest message that the Agent takes: tonic's default for decoding. Above it the Agent spins.
pub const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;
/// The name of Akri's handler for tests and demonstrations.
pub const DEBUG_ECHO: &str = "debugEcho";
