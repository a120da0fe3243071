//! What containerd says of itself: what it read of its configuration when it started. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// The most runtimes that are believed.
const MAX_RUNTIMES: usize = 100;

/// containerd as it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CriState {
    /// Name and version.
    pub version: String,
    /// The runtime takes containers.
    pub runtime_ready: bool,
    /// The pod network is there.
    pub network_ready: bool,
    /// The runtime handlers by name.
    pub runtimes: BTreeMap<String, LiveRuntime>,
    /// What pods without RuntimeClass get.
    pub default_runtime: Option<String>,
    /// What holds a pod's namespaces, where this containerd says it.
    pub sandbox_image: Option<String>,
    /// Whether containers' OOM scores are left where the machine keeps them.
    pub restrict_oom_score_adj: bool,
}

/// A runtime handler as containerd has loaded it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LiveRuntime {
    /// The shim.
    pub runtime_type: String,
    /// The program that the shim runs; empty for its own choice, runc.
    pub binary: String,
    /// Whether systemd makes the cgroups.
    pub systemd_cgroup: bool,
    /// The file that each container's configuration begins with; empty for none.
    pub base_runtime_spec: String,
    /// The pod annotations that are handed on.
    pub pod_annotations: Vec<String>,
}

impl CriState {
    /// From what `Status` says under `config`, together with the names of its list of handlers.
    pub(crate) fn read(config: &Value, handlers: &[String]) -> Self {
        let containerd = &config["containerd"];
        let mut runtimes: BTreeMap<String, LiveRuntime> = handlers
            .iter()
            .filter(|name| !name.is_empty())
            .map(|name| (name.clone(), LiveRuntime::default()))
            .collect();
        for (name, table) in containerd["runtimes"].as_object().into_iter().flatten().take(MAX_RUNTIMES) {
            runtimes.insert(name.clone(), LiveRuntime::read(table));
        }
        Self {
            runtimes,
            default_runtime: containerd["defaultRuntimeName"].as_str().map(str::to_owned),
            sandbox_image: config["sandboxImage"].as_str().map(str::to_owned),
            restrict_oom_score_adj: config["restrictOOMScoreAdj"].as_bool().unwrap_or_default(),
            ..Self::default()
        }
    }

    /// What it does no longer do that `before` did; nothing where it is as good.
    pub fn lost_since(&self, before: &Self) -> Option<String> {
        if before.runtime_ready && !self.runtime_ready {
            return Some("the runtime is no longer ready".to_owned());
        }
        if before.network_ready && !self.network_ready {
            return Some("the pod network is no longer ready".to_owned());
        }
        if before.default_runtime != self.default_runtime {
            return Some("the default runtime is another one".to_owned());
        }
        let lost = before.runtimes.keys().find(|name| !self.runtimes.contains_key(*name))?;
        Some(format!("the runtime {} is gone", lost.escape_debug()))
    }
}

impl LiveRuntime {
    fn read(table: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let options = &table["options"];
        // The names of fields changed case with containerd's versions.
        let annotations = [&table["PodAnnotations"], &table["podAnnotations"], &table["pod_annotations"]];
        Self {
            runtime_type: text(&table["runtimeType"]),
            binary: text(&options["BinaryName"]),
            systemd_cgroup: options["SystemdCgroup"].as_bool().unwrap_or_default(),
            base_runtime_spec: text(&table["baseRuntimeSpec"]),
            pod_annotations: annotations
                .into_iter()
                .find_map(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(runtimes: &[&str]) -> CriState {
        let runtimes: Vec<String> = runtimes.iter().map(|name| (*name).to_owned()).collect();
        let mut state =
            CriState::read(&serde_json::json!({"containerd": {"defaultRuntimeName": "runc"}}), &runtimes);
        state.runtime_ready = true;
        state
    }

    #[test]
    fn what_is_lost_is_named() {
        let before = state(&["runc"]);
        assert_eq!(state(&["runc", "crun-wasmedge"]).lost_since(&before), None);
        assert!(state(&["crun-wasmedge"]).lost_since(&before).unwrap().contains("runc"));
        let mut worse = state(&["runc"]);
        worse.runtime_ready = false;
        assert!(worse.lost_since(&before).is_some());
        assert_eq!(before.lost_since(&worse), None);
    }

    #[test]
    fn reads_what_containerd_1_7_says() {
        let config = serde_json::json!({
            "containerd": {"defaultRuntimeName": "runc", "runtimes": {"crun-wasmedge": {
                "runtimeType": "io.containerd.runc.v2", "baseRuntimeSpec": "/etc/containerd/x.json",
                "PodAnnotations": ["module.wasm.image/*"],
                "options": {"BinaryName": "/usr/bin/crun", "SystemdCgroup": true}}}},
            "sandboxImage": "registry.k8s.io/pause:3.8", "restrictOOMScoreAdj": true
        });
        let state = CriState::read(&config, &[]);
        let runtime = &state.runtimes["crun-wasmedge"];
        assert_eq!((&*runtime.binary, runtime.systemd_cgroup), ("/usr/bin/crun", true));
        assert_eq!(runtime.pod_annotations, ["module.wasm.image/*"]);
        assert_eq!(state.sandbox_image.as_deref(), Some("registry.k8s.io/pause:3.8"));
        assert!(state.restrict_oom_score_adj);
    }
}
