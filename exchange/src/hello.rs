//! `handler.json`: a handler says that it is ready.

use serde::Deserialize;

use crate::invalid::{at_most, probe_protocol};
use crate::json::{Writer, has_control};
use crate::{HandlerName, Invalid, PROTOCOL, limits};

/// What a handler says of itself. Written when the FIFO is open, so whoever sees it can wake the handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name to register with the agent.
    pub name: HandlerName,
    /// The handler's own version, for people.
    pub version: String,
    /// A mark that differs at each start of the handler; how a proxy tells a restart from a second look.
    pub instance: String,
    /// Whether one device may be seen by several nodes.
    pub shared: bool,
    /// How often the handler looks again by itself, in milliseconds; 0 = only when woken.
    pub rescan_ms: u64,
    /// How long a vanished device is held back before it is reported as gone, in milliseconds.
    pub removal_grace_ms: u64,
}

#[derive(Deserialize)]
struct Incoming {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    instance: String,
    #[serde(default)]
    shared: bool,
    #[serde(default)]
    rescan_ms: u64,
    #[serde(default)]
    removal_grace_ms: u64,
}

impl Hello {
    /// Reads and checks a `handler.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        at_most("handler.json in bytes", bytes.len(), limits::HELLO_BYTES)?;
        probe_protocol(bytes)?;
        let incoming: Incoming = serde_json::from_slice(bytes)?;
        at_most_ms("rescan_ms", incoming.rescan_ms, limits::RESCAN_MS)?;
        at_most_ms("removal_grace_ms", incoming.removal_grace_ms, limits::REMOVAL_GRACE_MS)?;
        Ok(Self {
            name: incoming.name.parse()?,
            version: plain_text("the version", &incoming.version)?,
            instance: plain_text("the instance mark", &incoming.instance)?,
            shared: incoming.shared,
            rescan_ms: incoming.rescan_ms,
            removal_grace_ms: incoming.removal_grace_ms,
        })
    }

    /// The bytes of a `handler.json`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Writer::default();
        json.object(|json| {
            json.key("protocol").number(PROTOCOL);
            json.key("name").string(self.name.as_str());
            json.key("version").string(&self.version);
            json.key("instance").string(&self.instance);
            json.key("shared").bool(self.shared);
            json.key("rescan_ms").number(self.rescan_ms);
            json.key("removal_grace_ms").number(self.removal_grace_ms);
        });
        json.into_bytes()
    }
}

/// Like [`at_most`], for times: 64 bits also where `usize` has 32.
fn at_most_ms(what: &'static str, found: u64, max: u64) -> Result<(), Invalid> {
    if found > max { Err(Invalid::TooMuch { what, found, max }) } else { Ok(()) }
}

/// These texts end up in logs and tables: no control characters, and not long.
fn plain_text(what: &'static str, text: &str) -> Result<String, Invalid> {
    at_most(what, text.len(), limits::HELLO_TEXT_BYTES)?;
    if has_control(text) {
        return Err(Invalid::text(what, text, "no control characters"));
    }
    Ok(text.to_owned())
}
