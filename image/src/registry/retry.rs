//! When a request is sent again, and after how long. Time itself is handed in, so that tests are instant.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use super::RegistryError;
use crate::progress::Progress;

/// How patient the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is sent again after its first failure in a row.
    pub retries: u32,
    /// The first wait; each next one is twice as long.
    pub base: Duration,
    /// The longest wait that is chosen here.
    pub cap: Duration,
    /// The longest wait that a registry can ask for by `Retry-After`.
    pub asked_cap: Duration,
    /// The most that one request waits in all.
    pub total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 5,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            asked_cap: Duration::from_secs(120),
            total: Duration::from_secs(300),
        }
    }
}

/// Time and chance.
pub trait Clock: Send + Sync {
    /// The time of day: `Retry-After` may hold a date.
    fn now(&self) -> SystemTime;
    /// Waits.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    /// A number from 0 up to 1, by which waits are spread so that many clients do not come back at once.
    fn jitter(&self) -> f64;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(time))
    }

    fn jitter(&self) -> f64 {
        let mut bytes = [0; 4];
        // Without chance, waits are merely not spread.
        let _ = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::NONBLOCK);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The attempts at one thing.
pub(super) struct Attempts<'a> {
    policy: RetryPolicy,
    clock: &'a dyn Clock,
    progress: &'a dyn Progress,
    failures: u32,
    waited: Duration,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(policy: RetryPolicy, clock: &'a dyn Clock, progress: &'a dyn Progress) -> Self {
        Self { policy, clock, progress, failures: 0, waited: Duration::ZERO }
    }

    /// Something was achieved: the next failure is a first one again. What was waited still counts.
    pub(super) fn advanced(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next attempt, or gives `error` back if there is to be none.
    pub(super) async fn after(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        if !error.is_passing() || self.failures >= self.policy.retries {
            return Err(error);
        }
        let wait = self.wait(error.retry_after());
        if self.waited + wait > self.policy.total {
            return Err(error);
        }
        self.failures += 1;
        self.waited += wait;
        self.progress.waits(&error, wait);
        self.clock.sleep(wait).await;
        Ok(())
    }

    fn wait(&self, asked: Option<Duration>) -> Duration {
        match asked {
            Some(asked) => asked.min(self.policy.asked_cap),
            None => {
                let longest =
                    self.policy.base.saturating_mul(1 << self.failures.min(16)).min(self.policy.cap);
                longest.mul_f64(0.5 + self.clock.jitter() / 2.0)
            }
        }
    }
}

/// `Retry-After`: seconds or a date. <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 7);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(7)));
        let past = now + Duration::from_secs(60);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", past), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }
}
