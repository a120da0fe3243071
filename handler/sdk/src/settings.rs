//! The environment, read once.

use std::time::Duration;

use akri_exchange::{layout, limits};

use crate::Handler;

/// The exchange directory; `/exchange` by default.
const EXCHANGE_DIRECTORY: &str = "EXCHANGE_DIRECTORY";
/// The re-scan interval in seconds, 0 to 86400; 0 = never.
const RESCAN_INTERVAL_SECONDS: &str = "RESCAN_INTERVAL_SECONDS";
/// The grace time of removals in milliseconds, 0 to 3600000.
const REMOVAL_GRACE_MILLISECONDS: &str = "REMOVAL_GRACE_MILLISECONDS";

/// What the environment says about the running of a handler.
pub(crate) struct Settings {
    pub(crate) exchange: String,
    rescan: Option<Duration>,
    removal_grace: Option<Duration>,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self, String> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::from(&variable)
    }

    fn from(variable: &dyn Fn(&'static str) -> Option<String>) -> Result<Self, String> {
        let number = |name, max: u64| match variable(name) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(value) if value <= max => Ok(Some(value)),
                _ => Err(format!("{name}={text:?}: give a whole number from 0 to {max}")),
            },
        };
        Ok(Self {
            exchange: variable(EXCHANGE_DIRECTORY).unwrap_or_else(|| layout::DEFAULT_DIRECTORY.into()),
            rescan: number(RESCAN_INTERVAL_SECONDS, limits::RESCAN_MS / 1000)?.map(Duration::from_secs),
            removal_grace: number(REMOVAL_GRACE_MILLISECONDS, limits::REMOVAL_GRACE_MS)?
                .map(Duration::from_millis),
        })
    }

    pub(crate) fn applied_to(&self, mut handler: Handler) -> Handler {
        if let Some(interval) = self.rescan {
            handler = handler.rescan(interval);
        }
        if let Some(grace) = self.removal_grace {
            handler = handler.removal_grace(grace);
        }
        handler
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_and_override_the_handlers_own() {
        let given = |name: &'static str, value: &'static str| {
            Settings::from(&move |asked| (asked == name).then(|| value.to_owned()))
        };
        let handler = || Handler::new("x").rescan(Duration::from_secs(7));
        assert_eq!(given("", "").unwrap().applied_to(handler()).rescan, Some(Duration::from_secs(7)));
        assert_eq!(given(RESCAN_INTERVAL_SECONDS, "0").unwrap().applied_to(handler()).rescan, None);
        let grace = given(REMOVAL_GRACE_MILLISECONDS, "1500").unwrap().applied_to(handler()).removal_grace;
        assert_eq!(grace, Duration::from_millis(1500));
        assert_eq!(given("", "").unwrap().exchange, "/exchange");
        for bad in ["-1", "x", "86401", "1.5"] {
            assert!(given(RESCAN_INTERVAL_SECONDS, bad).is_err(), "{bad}");
        }
    }
}
