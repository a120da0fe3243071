//! `answers/<id>.json`: the full device list of a job, or why there is none.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::invalid::{at_most, cut};
use crate::json::Writer;
use crate::{Device, Invalid, PROTOCOL, RequestId, Stopped, bounded, limits};

/// A handler's answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which request it answers.
    pub id: RequestId,
    /// What came of it.
    pub outcome: Outcome,
}

/// Either the full list, never a delta, or a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All devices there are, in the handler's order. May be empty, which is not the same as no answer.
    Devices(Vec<Device>),
    /// There is no list.
    Failed(Failure),
}

/// Why a handler has no list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault it is.
    pub kind: FailureKind,
    /// For people: what is wrong and what to do.
    #[serde(deserialize_with = "bounded::text::<{ limits::MESSAGE_BYTES }, _>")]
    pub message: String,
    /// Which field of the details is at fault, as a path (`udevRules[2]`), where one is.
    #[serde(
        default,
        deserialize_with = "bounded::optional_text::<{ limits::MESSAGE_BYTES }, _>",
        skip_serializing_if = "Option::is_none"
    )]
    pub field: Option<String>,
    /// How often in a row the handler crashed over this request; the SDK waits longer each time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub crashes: u32,
}

/// Whose fault a failure is. An unknown kind, of a later version, counts as [`FailureKind::Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The Configuration's: its details or properties cannot be used. Akri shows `InvalidDiscoveryDetails`.
    InvalidDetails,
    /// The world's, or the handler's own: it may work later.
    #[serde(other)]
    Unavailable,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Answer {
    /// An answer with the full list.
    pub fn devices(id: RequestId, devices: Vec<Device>) -> Self {
        Self { id, outcome: Outcome::Devices(devices) }
    }

    /// An answer without a list.
    pub fn failed(id: RequestId, failure: Failure) -> Self {
        Self { id, outcome: Outcome::Failed(failure) }
    }

    /// Reads and checks an answer; `id` is the one in its file name.
    pub fn parse(bytes: &[u8], id: RequestId) -> Result<Self, Invalid> {
        at_most("an answer in bytes", bytes.len(), limits::ANSWER_BYTES)?;
        let mut devices = Vec::new();
        let mut keep = |device| {
            devices.push(device);
            Ok::<_, Infallible>(())
        };
        let failure = match Self::read(|| serde_json::Deserializer::from_slice(bytes), id, &mut keep) {
            Ok(failure) => failure,
            Err(Stopped::Invalid(invalid)) => return Err(invalid),
            Err(Stopped::Untaken(never)) => match never {},
        };
        Ok(Self { id, outcome: failure.map_or(Outcome::Devices(devices), Outcome::Failed) })
    }

    /// The bytes of an answer file.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Writer::default();
        json.object(|json| {
            json.key("protocol").number(PROTOCOL);
            json.key("id").string(&self.id.to_string());
            match &self.outcome {
                Outcome::Devices(devices) => {
                    json.key("devices").list(devices, |json, device| device.write(json));
                }
                Outcome::Failed(failure) => failure.write(json.key("error")),
            }
        });
        json.into_bytes()
    }
}

impl Failure {
    /// The Configuration's details cannot be used.
    pub fn invalid_details(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::InvalidDetails, message: message.into(), field: None, crashes: 0 }
    }

    /// It does not work now, but may later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Unavailable, message: message.into(), field: None, crashes: 0 }
    }

    /// The failure, with the field of the details that is at fault.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// What serde would write.
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.key("kind").string(match self.kind {
                FailureKind::InvalidDetails => "invalid_details",
                FailureKind::Unavailable => "unavailable",
            });
            json.key("message").string(&self.message);
            if let Some(field) = &self.field {
                json.key("field").string(field);
            }
            if self.crashes != 0 {
                json.key("crashes").number(self.crashes.into());
            }
        });
    }

    pub(crate) fn readable(mut self) -> Self {
        self.message = readable(&self.message);
        self.field = self.field.as_deref().map(readable);
        self
    }
}

/// These texts go into logs and gRPC statuses: cut to length, control characters made spaces.
fn readable(text: &str) -> String {
    cut(text, limits::MESSAGE_BYTES).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
