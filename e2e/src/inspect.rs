//! What crictl shows: by crictl where the node has it, else from the same answers of the CRI.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use k8s_cri::v1::ContainerState;

use crate::node_stage::{NodeStage, short};
use crate::say::Say;
use crate::stage::Part;
use crate::{RUNTIME_HANDLER, VARIANT, VARIANT_ANNOTATION};

/// Prints the containers and the fields that tell how they run, and checks these.
///
/// # Errors
/// Where they are not as they should be.
pub async fn show(stage: &mut NodeStage, say: &Say) -> anyhow::Result<()> {
    if stage.node.exec(&["sh", "-c", "command -v crictl"]).await.is_ok() {
        say.step("crictl ps -a");
        stage.node.exec(&["crictl", "ps", "-a"]).await?.lines().for_each(|line| say.detail(line));
    } else {
        say.step("what crictl ps -a shows (Debian 13 has no crictl; asked through the CRI)");
        list(stage, say).await?;
    }
    say.step("what crictl inspect and inspectp show");
    let mut rows = Vec::new();
    for (key, value) in fields(stage).await? {
        rows.push([key, value]);
    }
    say.table(["FIELD", "VALUE"], &rows);
    Ok(())
}

async fn list(stage: &mut NodeStage, say: &Say) -> anyhow::Result<()> {
    let pod = stage.pod().name().to_owned();
    let mut rows = Vec::new();
    for container in stage.containers().await? {
        let state = match container.state() {
            ContainerState::ContainerCreated => "Created",
            ContainerState::ContainerRunning => "Running",
            ContainerState::ContainerExited => "Exited",
            ContainerState::ContainerUnknown => "Unknown",
        };
        let metadata = container.metadata.unwrap_or_default();
        rows.push([
            short(&container.id).to_owned(),
            container.image.map(|image| image.image).unwrap_or_default(),
            ago(container.created_at),
            state.to_owned(),
            metadata.name,
            metadata.attempt.to_string(),
            short(&container.pod_sandbox_id).to_owned(),
            pod.clone(),
        ]);
    }
    say.table(["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD"], &rows);
    Ok(())
}

/// The fields that tell that the handler is WebAssembly under crun, and how containers ended.
async fn fields(stage: &mut NodeStage) -> anyhow::Result<Vec<(String, String)>> {
    let pod = stage.inspect_pod().await?;
    let runtime =
        pod.info["runtimeHandler"].as_str().context("the sandbox has no .info.runtimeHandler")?.to_owned();
    ensure!(runtime == RUNTIME_HANDLER, "the sandbox runs under {runtime}");
    let mut fields = vec![("pod: .info.runtimeHandler".to_owned(), runtime)];
    let containers = stage.containers().await?;
    for container in containers {
        let name = container.metadata.clone().unwrap_or_default();
        let of = |field: &str| format!("{}/{}: {field}", name.name, name.attempt);
        let seen = stage.container(&container.id).await?;
        let variant = seen.annotation(VARIANT_ANNOTATION).unwrap_or("-").to_owned();
        ensure!(variant == VARIANT, "{}: the annotation is {variant}", of(VARIANT_ANNOTATION));
        let args = seen.info["runtimeSpec"]["process"]["args"].to_string();
        let is_module =
            args.starts_with('[') && args.split('"').nth(1).is_some_and(|word| word.ends_with(".wasm"));
        ensure!(is_module == (name.name == Part::Handler.name()), "{} is {args}", of("args"));
        fields.push((of(&format!(".info.runtimeSpec.annotations[{VARIANT_ANNOTATION:?}]")), variant));
        fields.push((of(".info.runtimeSpec.process.args"), args));
        if seen.status.state() == ContainerState::ContainerExited {
            fields.push((of(".status.exitCode"), seen.status.exit_code.to_string()));
        }
    }
    Ok(fields)
}

fn ago(nanoseconds: i64) -> String {
    let then = UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    let seconds = SystemTime::now().duration_since(then).unwrap_or_default().as_secs();
    if seconds < 1 { "Less than a second ago".to_owned() } else { format!("{seconds} seconds ago") }
}
