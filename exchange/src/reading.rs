//! Answers, read device by device: whoever wants the devices in another form never holds more than one of them in this.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::de::Read;

use crate::invalid::{at_most, check_protocol};
use crate::{Answer, Device, Failure, Invalid, RequestId, bounded, limits};

/// Why an answer was not read to its end.
#[derive(Debug)]
pub enum Stopped<E> {
    /// It breaks a rule of the exchange.
    Invalid(Invalid),
    /// Who was handed its devices did not take one, for this reason.
    Untaken(E),
}

impl Answer {
    /// Reads and checks an answer of any size: hands over one checked device after the other, and gives the failure where it is
    /// one. Only when all has been read is it known to be a good answer: of any other the devices count for nothing.
    ///
    /// `open` gives its JSON from the beginning; a second time where that is no answer, to see whether it is of another protocol.
    ///
    /// # Errors
    /// Where it breaks a rule, or `take` does not take a device.
    pub fn read<'de, R: Read<'de>, E>(
        mut open: impl FnMut() -> serde_json::Deserializer<R>,
        id: RequestId,
        mut take: impl FnMut(Device) -> Result<(), E>,
    ) -> Result<Option<Failure>, Stopped<E>> {
        let mut reading = Reading {
            seen: Vec::new(),
            protocol: None,
            id: None,
            devices: None,
            failure: None,
            stopped: None,
            take: &mut take,
        };
        let mut json = open();
        let read = reading.deserialize(&mut json).and_then(|()| json.end());
        drop(json);
        if let Some(stopped) = reading.stopped.take() {
            return Err(stopped);
        }
        let outcome = match read {
            Ok(()) => reading.outcome(id),
            Err(error) if reading.protocol.is_none() => Err(other_protocol(open()).unwrap_or(error.into())),
            Err(error) => Err(error.into()),
        };
        outcome.map_err(Stopped::Invalid)
    }
}

/// Looks for the version alone, so that a message of another protocol is named as such and not as malformed.
fn other_protocol<'de, R: Read<'de>>(mut json: serde_json::Deserializer<R>) -> Option<Invalid> {
    #[derive(Deserialize)]
    struct Probe {
        protocol: u64,
    }
    check_protocol(Probe::deserialize(&mut json).ok()?.protocol).err()
}

/// What has been read of an answer so far.
struct Reading<'t, E> {
    seen: Vec<Field>,
    protocol: Option<u64>,
    id: Option<String>,
    devices: Option<usize>,
    failure: Option<Failure>,
    /// Why not to read on, which no error of serde's can say.
    stopped: Option<Stopped<E>>,
    take: &'t mut dyn FnMut(Device) -> Result<(), E>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Protocol,
    Id,
    Devices,
    Error,
    /// A later version's.
    #[serde(other)]
    Other,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Field::Protocol => "protocol",
            Field::Id => "id",
            Field::Devices => "devices",
            Field::Error => "error",
            Field::Other => "of a later version",
        }
    }
}

/// A request's id, as long as one that is none needs to be shown.
#[derive(Deserialize)]
#[serde(transparent)]
struct Id(#[serde(deserialize_with = "bounded::text::<128, _>")] String);

impl<E> Reading<'_, E> {
    fn outcome(self, id: RequestId) -> Result<Option<Failure>, Invalid> {
        let missing = |field| serde_json::Error::missing_field(field);
        // Another version has ended the reading where it stood.
        self.protocol.ok_or_else(|| missing("protocol"))?;
        let found = self.id.ok_or_else(|| missing("id"))?;
        if found.parse::<RequestId>()? != id {
            return Err(Invalid::Id { found });
        }
        match (self.devices, self.failure) {
            (Some(devices), None) => {
                at_most("devices in an answer", devices, limits::DEVICES)?;
                Ok(None)
            }
            (None, Some(failure)) => Ok(Some(failure.readable())),
            _ => Err(Invalid::Outcome),
        }
    }

    /// Ends the reading.
    fn stop<F: de::Error>(&mut self, why: Stopped<E>) -> F {
        self.stopped = Some(why);
        F::custom("not read on")
    }
}

impl<'de, E> DeserializeSeed<'de> for &mut Reading<'_, E> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, E> Visitor<'de> for &mut Reading<'_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(field) = fields.next_key()? {
            if field != Field::Other {
                if self.seen.contains(&field) {
                    return Err(A::Error::duplicate_field(field.name()));
                }
                self.seen.push(field);
            }
            match field {
                Field::Protocol => {
                    let protocol = fields.next_value()?;
                    self.protocol = Some(protocol);
                    check_protocol(protocol).map_err(|invalid| self.stop(Stopped::Invalid(invalid)))?;
                }
                Field::Id => self.id = Some(fields.next_value::<Id>()?.0),
                Field::Devices => fields.next_value_seed(Devices(&mut *self))?,
                Field::Error => self.failure = fields.next_value()?,
                Field::Other => _ = fields.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// The list of devices; `null` is none.
struct Devices<'r, 't, E>(&'r mut Reading<'t, E>);

impl<'de, E> DeserializeSeed<'de> for Devices<'_, '_, E> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, E> Visitor<'de> for Devices<'_, '_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of devices")
    }

    fn visit_none<F: de::Error>(self) -> Result<(), F> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut devices: A) -> Result<(), A::Error> {
        let reading = self.0;
        let mut count = 0;
        while count < limits::DEVICES {
            let Some(device) = devices.next_element::<Device>()? else { break };
            count += 1;
            device.check().map_err(|invalid| reading.stop(Stopped::Invalid(invalid)))?;
            (reading.take)(device).map_err(|why| reading.stop(Stopped::Untaken(why)))?;
        }
        // Further ones are too many: only how many is of interest.
        while devices.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        reading.devices = Some(count);
        Ok(())
    }
}
