//! `requests/<proxy>/<id>.json`: one live discovery job.

use serde::de::Error;

use crate::invalid::{at_most, check_protocol};
use crate::json::{self, Reader, Writer};
use crate::{Invalid, PROTOCOL, Properties, RequestId, limits};

/// What the agent asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The details as the Configuration has them, to the letter.
    pub details_text: String,
    /// The same converted from YAML to JSON; `None` where they are not YAML, or YAML that JSON cannot say.
    pub details_json: Option<String>,
    /// Why there is no `details_json`, for the handler's error message.
    pub details_error: Option<String>,
    /// The Configuration's `discoveryProperties`, resolved. May hold credentials.
    pub properties: Properties,
}

impl Request {
    /// The request's id, from what it asks.
    pub fn id(&self) -> RequestId {
        RequestId::of(&self.details_text, &self.properties)
    }

    /// Reads and checks a request; `id` is the one in its file name.
    pub fn parse(bytes: &[u8], id: RequestId) -> Result<Self, Invalid> {
        at_most("a request in bytes", bytes.len(), limits::REQUEST_BYTES)?;
        let text = std::str::from_utf8(bytes).map_err(|_| json::Error::custom("not UTF-8"))?;
        let (mut protocol, mut found) = (None, None);
        let mut request = Self {
            details_text: String::new(),
            details_json: None,
            details_error: None,
            properties: Properties::default(),
        };
        let mut json = Reader::new(text);
        json.object(&mut |key, json| {
            match key {
                "protocol" => protocol = Some(json.unsigned()?),
                "id" => found = Some(json.string()?),
                "details_text" => request.details_text = json.string()?,
                // Also where it is null, which is what empty details are.
                "details" => request.details_json = Some(json.skip()?.to_owned()),
                "details_error" => request.details_error = json.optional_string()?,
                "properties" => request.properties = Properties::read(json)?,
                // A later version's.
                _ => _ = json.skip()?,
            }
            Ok(())
        })?;
        json.end()?;
        check_protocol(protocol.ok_or_else(|| json::Error::missing_field("protocol"))?)?;
        let found = found.ok_or_else(|| json::Error::missing_field("id"))?;
        if found.parse::<RequestId>()? != id {
            return Err(Invalid::Id { found });
        }
        at_most("properties of a request", request.properties.len(), limits::PROPERTIES)?;
        Ok(request)
    }

    /// The bytes of a request file; refused where they are more than a reader takes, or `details_json` is not JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, Invalid> {
        at_most("properties of a request", self.properties.len(), limits::PROPERTIES)?;
        if let Some(details) = &self.details_json {
            let mut reader = Reader::new(details);
            reader.skip()?;
            reader.end()?;
        }
        let mut json = Writer::default();
        json.object(|json| {
            json.key("protocol").number(PROTOCOL);
            json.key("id").string(&self.id().to_string());
            json.key("details_text").string(&self.details_text);
            if let Some(details) = &self.details_json {
                json.key("details").raw(details.trim());
            }
            if let Some(error) = &self.details_error {
                json.key("details_error").string(error);
            }
            self.properties.write(json.key("properties"));
        });
        let bytes = json.into_bytes();
        at_most("a request in bytes", bytes.len(), limits::REQUEST_BYTES)?;
        Ok(bytes)
    }
}
