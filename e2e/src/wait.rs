//! Bounded waiting for a state that no event tells of.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// Between two looks: short beside what is waited for, long beside what a look costs.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` has something; an error once `limit` is over, saying `what` did not happen.
///
/// # Errors
/// With what `look` fails with, or where it saw nothing in time.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await.with_context(|| format!("while waiting until {what}"))? {
            return Ok(seen);
        }
        if began.elapsed() > limit {
            bail!("waited {} s in vain until {what}", limit.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
