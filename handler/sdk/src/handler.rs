//! What a handler's author writes against.

use std::path::Path;
use std::time::Duration;

use akri_exchange::{Device, Failure, HandlerName, Request, limits};
use serde::de::DeserializeOwned;

use crate::runtime;
use crate::settings::Settings;
use crate::{Context, details};

/// A discovery handler: its name, what it says of itself, and how it runs.
#[derive(Debug, Clone)]
pub struct Handler {
    pub(crate) name: HandlerName,
    pub(crate) version: String,
    pub(crate) shared: bool,
    pub(crate) rescan: Option<Duration>,
    pub(crate) removal_grace: Duration,
}

/// The discovery function with its types taken away: one copy of the loop serves every handler.
pub(crate) type Discover<'a> = dyn FnMut(&Request, &Context) -> Result<Vec<Device>, Failure> + 'a;

impl Handler {
    /// A handler of this name: the one that Configurations give in `discoveryHandler.name`.
    /// Not shared, no re-scan, no grace time, unless said otherwise.
    ///
    /// # Panics
    /// Where the name is not 1 to 63 letters, digits, `-`, `_` or `.`.
    pub fn new(name: &str) -> Self {
        let name = name.parse().unwrap_or_else(|error| panic!("{error}"));
        Self { name, version: String::new(), shared: false, rescan: None, removal_grace: Duration::ZERO }
    }

    /// The handler's own version, usually `env!("CARGO_PKG_VERSION")`. Shown in logs and by `akri-proxy status`.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    /// Whether one device may be seen by several nodes. Where not, the agent mixes the node's name into the device's.
    #[must_use]
    pub fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// How often to look again without being woken; zero is never, and what is longer than a day is a day. `RESCAN_INTERVAL_SECONDS` overrides it.
    #[must_use]
    pub fn rescan(mut self, interval: Duration) -> Self {
        self.rescan = (!interval.is_zero()).then_some(interval.min(Duration::from_millis(limits::RESCAN_MS)));
        self
    }

    /// How long a vanished device is held back before the agent hears of it, an hour at the longest: what blinks, as USB
    /// devices do at a reset, then costs no broker. `REMOVAL_GRACE_MILLISECONDS` overrides it.
    #[must_use]
    pub fn removal_grace(mut self, grace: Duration) -> Self {
        self.removal_grace = grace.min(Duration::from_millis(limits::REMOVAL_GRACE_MS));
        self
    }

    /// Runs until the proxy asks the handler to stop; the last thing a `main` does.
    ///
    /// # Panics
    /// Where the environment holds an unusable value or there is no exchange directory. Panicking is how a module fails:
    /// under crun any other exit code than a trap's is lost.
    pub fn run<D: DeserializeOwned>(
        self,
        discover: impl FnMut(&D, &Context) -> Result<Vec<Device>, Failure>,
    ) {
        let settings = Settings::from_environment().unwrap_or_else(|error| panic!("{error}"));
        let handler = settings.applied_to(self);
        if let Err(error) = handler.run_in(Path::new(&settings.exchange), discover) {
            panic!("exchange directory {}: {error}", settings.exchange);
        }
    }

    /// As [`Handler::run`], on a given exchange directory and without a look at the environment.
    ///
    /// # Errors
    /// Where there is no such directory, or it cannot be read or written.
    pub fn run_in<D: DeserializeOwned>(
        self,
        exchange: &Path,
        mut discover: impl FnMut(&D, &Context) -> Result<Vec<Device>, Failure>,
    ) -> std::io::Result<()> {
        let mut erased =
            move |request: &Request, context: &Context| discover(&details::typed(request)?, context);
        runtime::run(&self, exchange, &mut erased)
    }
}
