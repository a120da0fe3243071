//! CRI's messages as crictl prints them with `-o json`: protobuf's JSON (64-bit numbers are strings), but for the times of what
//! is inspected, which are RFC 3339. containerd's verbose part is JSON already, below `info`.
//! Source: <https://github.com/kubernetes-sigs/cri-tools/blob/master/cmd/crictl/util.go>

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_cri::v1;
use serde_json::{Map, Value, json};

/// `crictl info`
pub(super) fn info(said: &v1::StatusResponse) -> Value {
    let conditions = said.status.iter().flat_map(|status| &status.conditions).map(|condition| {
        json!({
            "type": condition.r#type,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message,
        })
    });
    let mut document = Map::new();
    document.insert("status".to_owned(), json!({ "conditions": conditions.collect::<Vec<_>>() }));
    for (key, text) in &said.info {
        document.entry(key.clone()).or_insert_with(|| json_or_text(text));
    }
    Value::Object(document)
}

/// One of `crictl pods`'s `.items`.
pub(super) fn pod(pod: &v1::PodSandbox) -> Value {
    json!({
        "id": pod.id,
        "metadata": pod_metadata(pod.metadata.as_ref()),
        "state": pod.state().as_str_name(),
        "createdAt": pod.created_at.to_string(),
        "labels": pod.labels,
        "annotations": pod.annotations,
        "runtimeHandler": pod.runtime_handler,
    })
}

/// One of `crictl ps`'s `.containers`.
pub(super) fn container(container: &v1::Container) -> Value {
    json!({
        "id": container.id,
        "podSandboxId": container.pod_sandbox_id,
        "metadata": metadata(container.metadata.as_ref()),
        "image": image_spec(container.image.as_ref()),
        "imageRef": container.image_ref,
        "state": container.state().as_str_name(),
        "createdAt": container.created_at.to_string(),
        "labels": container.labels,
        "annotations": container.annotations,
    })
}

/// One of `crictl stats`'s `.stats`.
pub(super) fn stats(stats: &v1::ContainerStats) -> Value {
    let number = |value: &Option<v1::UInt64Value>| {
        value.as_ref().map(|number| json!({ "value": number.value.to_string() }))
    };
    let attributes = stats.attributes.clone().unwrap_or_default();
    let mut document = json!({
        "attributes": {
            "id": attributes.id,
            "metadata": metadata(attributes.metadata.as_ref()),
            "labels": attributes.labels,
            "annotations": attributes.annotations,
        },
    });
    if let Some(cpu) = &stats.cpu {
        document["cpu"] = json!({
            "timestamp": cpu.timestamp.to_string(),
            "usageCoreNanoSeconds": number(&cpu.usage_core_nano_seconds),
            "usageNanoCores": number(&cpu.usage_nano_cores),
        });
    }
    if let Some(memory) = &stats.memory {
        document["memory"] = json!({
            "timestamp": memory.timestamp.to_string(),
            "workingSetBytes": number(&memory.working_set_bytes),
            "availableBytes": number(&memory.available_bytes),
            "usageBytes": number(&memory.usage_bytes),
            "rssBytes": number(&memory.rss_bytes),
            "pageFaults": number(&memory.page_faults),
            "majorPageFaults": number(&memory.major_page_faults),
        });
    }
    if let Some(layer) = &stats.writable_layer {
        document["writableLayer"] = json!({
            "timestamp": layer.timestamp.to_string(),
            "usedBytes": number(&layer.used_bytes),
            "inodesUsed": number(&layer.inodes_used),
        });
    }
    document
}

/// `crictl inspectp`
pub(super) fn inspected_pod(said: &v1::PodSandboxStatusResponse) -> Value {
    let status = said.status.clone().unwrap_or_default();
    let network = status.network.clone().unwrap_or_default();
    let ips: Vec<Value> = network.additional_ips.iter().map(|more| json!({ "ip": more.ip })).collect();
    with_info(
        json!({
            "id": status.id,
            "metadata": pod_metadata(status.metadata.as_ref()),
            "state": status.state().as_str_name(),
            "createdAt": time(status.created_at),
            "network": { "ip": network.ip, "additionalIps": ips },
            "labels": status.labels,
            "annotations": status.annotations,
            "runtimeHandler": status.runtime_handler,
        }),
        &said.info,
    )
}

/// `crictl inspect`
pub(super) fn inspected_container(said: &v1::ContainerStatusResponse) -> Value {
    let status = said.status.clone().unwrap_or_default();
    let mounts = status.mounts.iter().map(|mount| {
        json!({
            "containerPath": mount.container_path,
            "hostPath": mount.host_path,
            "readonly": mount.readonly,
        })
    });
    with_info(
        json!({
            "id": status.id,
            "metadata": metadata(status.metadata.as_ref()),
            "state": status.state().as_str_name(),
            "createdAt": time(status.created_at),
            "startedAt": time(status.started_at),
            "finishedAt": time(status.finished_at),
            "exitCode": status.exit_code,
            "reason": status.reason,
            "message": status.message,
            "image": image_spec(status.image.as_ref()),
            "imageRef": status.image_ref,
            "labels": status.labels,
            "annotations": status.annotations,
            "mounts": mounts.collect::<Vec<_>>(),
            "logPath": status.log_path,
        }),
        &said.info,
    )
}

/// `crictl inspecti`
pub(super) fn inspected_image(said: &v1::ImageStatusResponse) -> Value {
    let image = said.image.clone().unwrap_or_default();
    with_info(
        json!({
            "id": image.id,
            "repoTags": image.repo_tags,
            "repoDigests": image.repo_digests,
            "size": image.size.to_string(),
            "uid": image.uid.map(|uid| json!({ "value": uid.value.to_string() })),
            "username": image.username,
            "pinned": image.pinned,
        }),
        &said.info,
    )
}

fn with_info(status: Value, info: &HashMap<String, String>) -> Value {
    let mut document = Map::new();
    document.insert("status".to_owned(), status);
    for (key, text) in info {
        document.entry(key.clone()).or_insert_with(|| json_or_text(text));
    }
    Value::Object(document)
}

/// containerd puts JSON into most values, and plain words into some.
fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn pod_metadata(metadata: Option<&v1::PodSandboxMetadata>) -> Value {
    let metadata = metadata.cloned().unwrap_or_default();
    json!({
        "name": metadata.name,
        "uid": metadata.uid,
        "namespace": metadata.namespace,
        "attempt": metadata.attempt,
    })
}

fn metadata(metadata: Option<&v1::ContainerMetadata>) -> Value {
    let metadata = metadata.cloned().unwrap_or_default();
    json!({ "name": metadata.name, "attempt": metadata.attempt })
}

fn image_spec(image: Option<&v1::ImageSpec>) -> Value {
    let image = image.cloned().unwrap_or_default();
    json!({
        "image": image.image,
        "annotations": image.annotations,
        "userSpecifiedImage": image.user_specified_image,
    })
}

/// The CRI's nanoseconds; 0, which it says of what has not happened, as Go's JSON has that.
fn time(nanoseconds: i64) -> String {
    let time = Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_parts_stand_beside_the_status_and_never_in_its_place() {
        let info = [("info", r#"{"pid":7}"#), ("status", "\"other\""), ("lastCNILoadStatus", "OK")];
        let info: HashMap<String, String> =
            info.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let status = v1::ContainerStatus { id: "x".to_owned(), exit_code: 137, ..Default::default() };
        let said = v1::ContainerStatusResponse { status: Some(status), info };
        let document = inspected_container(&said);
        assert_eq!(document["status"]["exitCode"], 137);
        assert_eq!(document["info"]["pid"], 7);
        assert_eq!(document["lastCNILoadStatus"], "OK");
    }

    #[test]
    fn times_are_of_two_kinds() {
        let nanoseconds = 1_763_712_000_500_000_000;
        let listed = v1::Container { created_at: nanoseconds, ..Default::default() };
        assert_eq!(container(&listed)["createdAt"], "1763712000500000000");
        assert_eq!(time(nanoseconds), "2025-11-21T08:00:00.5Z");
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
    }
}
