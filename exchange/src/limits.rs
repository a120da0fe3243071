//! Bounds that both sides keep. Each has its reason; `docs/exchange.md` lists them for people who write handlers.

/// Bytes of a `handler.json`: a handful of short fields.
pub const HELLO_BYTES: usize = 64 * 1024;
/// Bytes of a request: details and properties twice over. etcd refuses objects above 1.5 MiB, so no Configuration is larger.
pub const REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of an answer. The agent takes 4 MiB of protobuf; the same list in JSON is at most about twice that.
pub const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of one input file.
pub const INPUT_BYTES: usize = 64 * 1024;
/// Live requests in one exchange. A node has a handful of Configurations for one handler.
pub const REQUESTS: usize = 1024;
/// Devices in one answer. The agent hashes ids to three bytes: beyond this a collision is all but certain.
pub const DEVICES: usize = 10_000;
/// Bytes of all texts of a device. Its Instance is one object of etcd, which takes none above 1.5 MiB.
pub const DEVICE_BYTES: usize = 1024 * 1024;
/// Bytes of a device id.
pub const DEVICE_ID_BYTES: usize = 1024;
/// Properties of one device, or of one request. They become environment variables of a broker.
pub const PROPERTIES: usize = 256;
/// Bytes of a property's name.
pub const PROPERTY_NAME_BYTES: usize = 253;
/// Bytes of a property's value. Linux refuses a single environment string of 128 KiB or more.
pub const PROPERTY_VALUE_BYTES: usize = 64 * 1024;
/// Mounts, and likewise device nodes, of one device.
pub const MOUNTS: usize = 64;
/// Bytes of a path: Linux's PATH_MAX.
pub const PATH_BYTES: usize = 4096;
/// Bytes of an error message; a longer one is cut, not refused.
pub const MESSAGE_BYTES: usize = 1024;
/// Longest re-scan interval: a day, in milliseconds.
pub const RESCAN_MS: u64 = 24 * 60 * 60 * 1000;
/// Longest grace time of removals: an hour, in milliseconds.
pub const REMOVAL_GRACE_MS: u64 = 60 * 60 * 1000;
/// Bytes of the version and of the instance mark in a `handler.json`.
pub const HELLO_TEXT_BYTES: usize = 128;
