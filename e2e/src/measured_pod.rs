//! A pod that is measured: begun with an agent to which it registers, and ended so that nothing of it is left.

use std::path::Path;
use std::time::Duration;

use tonic::transport::Channel;

use crate::demo;
use crate::measure;
use crate::node_stage::NodeStage;
use crate::say::Say;
use crate::stage::Stage;
use crate::story;
use crate::wait;
use crate::watch::Watch;

/// For what takes milliseconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What the agent is played with.
pub(crate) struct Played<'a> {
    /// The program akri-proxy.
    pub(crate) proxy: &'a Path,
    /// The handler's name.
    pub(crate) handler: &'a str,
    /// What is asked for, and the devices that there are then.
    pub(crate) details: &'a str,
    pub(crate) devices: &'a [&'a str],
}

/// Starts the pod, and an agent that has its first list; how it is spoken to.
pub(crate) async fn start(
    stage: &mut NodeStage,
    images: &Path,
    played: Played<'_>,
    say: &Say,
) -> anyhow::Result<(Watch, Channel)> {
    demo::prepare(images, stage, say).await?;
    let program = played.proxy.to_owned().into();
    let mut watch = Watch::start(&program, stage.akri(), played.handler, played.details, *say).await?;
    demo::start_pod(stage, say).await?;
    if let Err(error) = watch.until(played.devices, LIMIT).await {
        story::confess(stage);
        return Err(error);
    }
    let channel = measure::channel(stage).await?;
    Ok((watch, channel))
}

/// Ends the pod and the agent, after what was told of them.
pub(crate) async fn end<T>(
    stage: &mut NodeStage,
    watch: Watch,
    told: anyhow::Result<T>,
) -> anyhow::Result<()> {
    if let Err(error) = told {
        story::confess(stage);
        return Err(error);
    }
    watch.stop().await?;
    stage.clear().await?;
    wait::until("the pod is gone", LIMIT, async || Ok((stage.clear().await? == 0).then_some(()))).await
}
