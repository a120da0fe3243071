//! What a Configuration's `discoveryDetails` may say.

use serde::Deserialize;

/// The details, field for field the native handler's. Fields that neither knows are passed over by both.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Devices that match any of these are discovered.
    pub udev_rules: Vec<String>,
    /// Whether a device's descendants are folded into it.
    #[serde(default)]
    pub group_recursive: bool,
    /// What brokers may do with device nodes.
    #[serde(default)]
    pub permissions: Permissions,
}

/// What brokers may do with device nodes: some of `r` (read), `w` (write) and `m` (mknod).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Permissions(String);

/// Those that the native handler accepts; the order of letters counts.
const ACCEPTED: [&str; 7] = ["r", "w", "m", "rw", "rm", "rwm", "wm"];

impl Default for Permissions {
    fn default() -> Self {
        Self("rwm".to_owned())
    }
}

impl Permissions {
    /// As device specs have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Permissions {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if ACCEPTED.contains(&text.as_str()) {
            return Ok(Self(text));
        }
        Err(format!("permissions {text:?} are not understood: give one of {}", ACCEPTED.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_and_values_are_the_native_handlers() {
        let details: Details = serde_json::from_value(json!({"udevRules": [], "other": 1})).unwrap();
        assert_eq!((details.group_recursive, details.permissions.as_str()), (false, "rwm"));
        for accepted in ACCEPTED {
            assert!(Permissions::try_from(accepted.to_owned()).is_ok());
        }
        for refused in ["", "x", "mr", "mw", "wr", "rr", "RW", "rwmr", "r w"] {
            let error = Permissions::try_from(refused.to_owned()).unwrap_err();
            assert!(error.contains("rwm, wm"), "{error}");
        }
        for bad in [
            json!({}),
            json!({"udevRules": "x"}),
            json!({"udevRules": [1]}),
            json!({"udevRules": [], "groupRecursive": "true"}),
            json!({"udevRules": [], "permissions": null}),
        ] {
            assert!(serde_json::from_value::<Details>(bad.clone()).is_err(), "{bad}");
        }
    }
}
