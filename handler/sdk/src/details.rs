//! From a request's details to the author's type, or to an error that names the field.

use akri_exchange::{Failure, Request, json};
use serde::de::DeserializeOwned;

/// Reads the details. Empty details count as an empty map, so that the error names what is missing.
pub(crate) fn typed<D: DeserializeOwned>(request: &Request) -> Result<D, Failure> {
    let json = match (&request.details_json, &request.details_error) {
        (Some(json), _) if json == "null" => "{}",
        (Some(json), _) => json,
        (None, None) => "{}",
        (None, Some(why)) => {
            let message = format!("the discovery details are not usable YAML: {why}");
            return Err(Failure::invalid_details(message));
        }
    };
    json::from_str(json).map_err(|error| {
        let failure = Failure::invalid_details(error.to_string());
        match error.path() {
            "" => failure,
            path => failure.at(path),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Details {
        rules: Vec<Rule>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Rule {
        #[allow(dead_code, reason = "only its reading is tested")]
        text: String,
    }

    fn failure(details_json: Option<&str>) -> Failure {
        let request = Request {
            details_text: String::new(),
            details_json: details_json.map(str::to_owned),
            details_error: details_json.is_none().then(|| "why".to_owned()),
            properties: Default::default(),
        };
        typed::<Details>(&request).map(|d| d.rules.len()).unwrap_err()
    }

    #[test]
    fn errors_name_the_field() {
        assert_eq!(failure(Some("null")).field.as_deref(), Some("rules"));
        assert_eq!(failure(Some("{}")).field.as_deref(), Some("rules"));
        assert_eq!(failure(Some(r#"{"rules": 3}"#)).field.as_deref(), Some("rules"));
        assert_eq!(
            failure(Some(r#"{"rules": [{"text": "a"}, {"text": 1}]}"#)).field.as_deref(),
            Some("rules[1].text")
        );
        assert_eq!(failure(Some(r#"{"rules": [{}]}"#)).field.as_deref(), Some("rules[0].text"));
        assert_eq!(
            failure(Some(r#"{"rules": 3}"#)).message,
            "invalid type: integer `3`, expected a sequence"
        );
        assert!(failure(None).message.contains("YAML"));
    }
}
