//! The event, and the service's receipt for it.
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::os;

/// The version of the specification.
pub(crate) const SPEC_VERSION: &str = "1.0";
/// What kind of event this example sends.
pub(crate) const TYPE: &str = "akri-wasm.example.heartbeat";
/// What kind of event the service answers with.
pub(crate) const RECEIPT_TYPE: &str = "akri-wasm.example.receipt";
/// What the data of both is.
pub(crate) const CONTENT_TYPE: &str = "application/json";

/// An event.
#[derive(Debug)]
pub(crate) struct Event {
    /// Unique: random.
    pub(crate) id: String,
    /// Who sends it.
    pub(crate) source: String,
    /// When, as RFC 3339.
    pub(crate) time: String,
    /// What happened.
    pub(crate) data: String,
}

/// What the service says of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// How many it has taken.
    pub(crate) count: u64,
}

impl Event {
    pub(crate) fn new(source: &str, sequence: u64) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id: uuid(os::random()),
            source: source.to_owned(),
            time: rfc3339(since.as_secs(), since.subsec_millis()),
            data: json!({ "sequence": sequence }).to_string(),
        }
    }

    /// Reads the receipt, if it is one for this event.
    pub(crate) fn receipt(&self, data: &[u8]) -> Option<Receipt> {
        let data: Value = serde_json::from_slice(data).ok()?;
        if data["received"] != self.id.as_str() {
            return None;
        }
        Some(Receipt { count: data["count"].as_u64()? })
    }
}

/// Random bytes as a UUID, version 4.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Seconds since 1970 as a time in UTC.
fn rfc3339(seconds: u64, milliseconds: u32) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March put the day that comes and goes at their end. 719,468 days before 1970 such a year began, and
    // with it one of the eras of 400 years, which are all equally long.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, time) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (951_868_800, "2000-03-01T00:00:00.007Z"),
            (1_763_712_000, "2025-11-21T08:00:00.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(rfc3339(seconds, 7), time);
        }
    }

    #[test]
    fn ids_are_random_uuids() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(Event::new("/x", 1).id, Event::new("/x", 1).id);
    }

    #[test]
    fn a_receipt_is_for_the_event_and_has_a_number() {
        let event = Event::new("/x", 1);
        let of = |id: &str, count: Value| json!({ "received": id, "count": count }).to_string();
        assert_eq!(event.receipt(of(&event.id, json!(3)).as_bytes()), Some(Receipt { count: 3 }));
        for other in [of("other", json!(3)), of(&event.id, json!("3")), "[]".to_owned(), String::new()] {
            assert_eq!(event.receipt(other.as_bytes()), None, "{other}");
        }
    }
}
