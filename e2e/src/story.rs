//! What happens, and what has to be seen. Each sentence is an assertion.

use std::time::Duration;

use akri_proxy::state::{Condition, State};
use anyhow::ensure;

use crate::manifest::Configuration;
use crate::say::{Say, ms};
use crate::stage::{Part, Stage};
use crate::wait;
use crate::watch::Watch;

/// The longest that anything may take to be seen: far more than it ever does, for a machine that has much else to do, and
/// emulates another one besides.
pub const LIMIT: Duration = Duration::from_secs(30);
/// The input that takes debugEcho's devices away, and its value for that.
pub const AVAILABILITY: &str = "availability";
/// See [`AVAILABILITY`].
pub const OFFLINE: &str = "OFFLINE";

/// The devices that a Configuration's details name, as debugEcho gives them.
///
/// # Errors
/// Where they name none.
pub fn devices(configuration: &Configuration) -> anyhow::Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Details {
        descriptions: Vec<String>,
    }
    let details: Details = serde_yaml_ng::from_str(&configuration.spec.discovery_handler.discovery_details)?;
    Ok(details.descriptions)
}

/// The whole story.
///
/// # Errors
/// With the first thing that was not as it should be.
pub async fn tell(stage: &mut impl Stage, watch: &mut Watch, ids: &[&str], say: &Say) -> anyhow::Result<()> {
    appear(watch, ids, say).await?;
    offline_and_online(stage, watch, ids, say).await?;
    handler_dies(stage, watch, ids, say).await?;
    handler_returns(stage, watch, ids, say).await
}

/// The handler registers, and its devices are there.
///
/// # Errors
/// Where not.
pub async fn appear(watch: &mut Watch, ids: &[&str], say: &Say) -> anyhow::Result<()> {
    watch.until(ids, LIMIT).await?;
    ensure!(watch.registrations() == 1, "the handler has registered {} times", watch.registrations());
    say.step(format_args!(
        "seen: {} devices, {} after the agent's start",
        ids.len(),
        ms(watch.started().elapsed())
    ));
    Ok(())
}

/// An input takes the devices away, another one brings them back.
///
/// # Errors
/// Where not.
pub async fn offline_and_online(
    stage: &mut impl Stage,
    watch: &mut Watch,
    ids: &[&str],
    say: &Say,
) -> anyhow::Result<()> {
    say.step(format_args!("akri-proxy input {AVAILABILITY} {OFFLINE}{}", stage.place()));
    stage.proxy(&["input", AVAILABILITY, OFFLINE]).await?;
    watch.until(&[], LIMIT).await?;
    say.step("seen: they are gone");
    say.step(format_args!("akri-proxy input {AVAILABILITY}{}   (empty: online)", stage.place()));
    stage.proxy(&["input", AVAILABILITY]).await?;
    watch.until(ids, LIMIT).await?;
    say.step("seen: they are back");
    Ok(())
}

/// The handler is killed: the stream lives, and the devices stay.
///
/// # Errors
/// Where not.
pub async fn handler_dies(
    stage: &mut impl Stage,
    watch: &mut Watch,
    ids: &[&str],
    say: &Say,
) -> anyhow::Result<()> {
    let before = stage.status().await?;
    say.step("the handler is killed");
    say.detail(stage.kill_handler().await?);
    let after = until_handler(stage, Condition::Gone).await?;
    unmoved(&before, &after, ids)?;
    watch.steady(ids)?;
    say.step(format_args!(
        "seen: the proxy says \"handler {}\"; the stream lives, {} devices are still there",
        after.handler.condition.as_str(),
        ids.len()
    ));
    Ok(())
}

/// The handler is started again: on the same stream answers resume by themselves.
///
/// # Errors
/// Where not.
pub async fn handler_returns(
    stage: &mut impl Stage,
    watch: &mut Watch,
    ids: &[&str],
    say: &Say,
) -> anyhow::Result<()> {
    let before = stage.status().await?;
    say.step("the handler is started again");
    say.detail(stage.start_handler().await?);
    let after = until_handler(stage, Condition::Alive).await?;
    unmoved(&before, &after, ids)?;
    ensure!(after.handler.restarts == before.handler.restarts + 1, "restarts: {}", after.handler.restarts);
    watch.steady(ids)?;
    say.step("seen: the proxy says \"handler alive\", on the same stream");
    offline_and_online(stage, watch, ids, say).await?;
    ensure!(watch.registrations() == 1, "the handler has registered {} times", watch.registrations());
    Ok(())
}

/// Waits until the proxy says so of its handler.
///
/// # Errors
/// Where it does not in time.
pub async fn until_handler(stage: &mut impl Stage, condition: Condition) -> anyhow::Result<State> {
    wait::until(&format!("the proxy says that its handler is {}", condition.as_str()), LIMIT, async || {
        Ok(Some(stage.status().await?).filter(|state| state.handler.condition == condition))
    })
    .await
}

/// Streams and devices are as they were.
fn unmoved(before: &State, after: &State, ids: &[&str]) -> anyhow::Result<()> {
    ensure!(after.streams.open == 1, "{} streams are open, not 1", after.streams.open);
    ensure!(
        after.streams == before.streams,
        "a stream came or went: {:?}, then {:?}",
        before.streams,
        after.streams
    );
    let told: Vec<_> = after.jobs.iter().map(|job| job.devices).collect();
    ensure!(told == [Some(ids.len())], "devices by job: {told:?}");
    Ok(())
}

/// Prints what both parts said last.
pub fn confess(stage: &impl Stage) {
    for part in [Part::Handler, Part::Proxy] {
        let said = stage.said(part);
        if !said.is_empty() {
            eprintln!("--- the {}'s last lines:\n{said}", part.name());
        }
    }
}
