//! Waiting for a moment that may not be set.

/// Returns at `moment`; never, where there is none. A `select!` with it needs no timer while nothing is due.
pub(crate) async fn at(moment: Option<impl Into<tokio::time::Instant>>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
