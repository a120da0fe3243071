//! The Pod Security Standards' profile *restricted* (and so *baseline*), rule by rule, as of Kubernetes 1.34:
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>. Knows no manifest of ours.

use std::collections::BTreeSet;

use serde_yaml_ng::{Mapping, Value};

/// Volume types that are not the node's.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// Kernel parameters that are the pod's own.
const SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];
/// SELinux types that a container may ask for; none is none asked for.
const SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
/// Where a pod has containers.
const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
/// Where a container can be made to call any host.
const CALLS: [&[&str]; 5] = [
    &["livenessProbe"],
    &["readinessProbe"],
    &["startupProbe"],
    &["lifecycle", "postStart"],
    &["lifecycle", "preStop"],
];

/// What the profile forbids of this pod: `WHO: WHAT`, where WHO is a container or `pod`.
pub(crate) fn breaches(annotations: &Mapping, pod: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    of_pod(annotations, pod, &mut |what| found.extend([format!("pod: {what}")]));
    let mut mounted = BTreeSet::new();
    for container in LISTS.iter().filter_map(|list| pod[*list].as_sequence()).flatten() {
        let name = container["name"].as_str().unwrap_or("without a name");
        let mut report = |what: String| found.extend([format!("{name}: {what}")]);
        of_container(pod, container, &mut report);
        for mount in container["volumeMounts"].as_sequence().into_iter().flatten() {
            let volume = items(pod, "volumes").find(|volume| volume["name"] == mount["name"]);
            let Some(kind) = volume.and_then(foreign) else { continue };
            mounted.insert(mount["name"].as_str());
            let written = if mount["readOnly"] == true { "read-only" } else { "writable" };
            report(format!("{kind}, {written}"));
        }
    }
    // What nobody mounts, the profile forbids all the same.
    for volume in items(pod, "volumes").filter(|volume| !mounted.contains(&volume["name"].as_str())) {
        found.extend(foreign(volume).map(|kind| format!("pod: {kind}")));
    }
    found
}

fn of_pod(annotations: &Mapping, pod: &Value, report: &mut dyn FnMut(String)) {
    for namespace in ["hostNetwork", "hostPID", "hostIPC"] {
        if on(&pod[namespace]) {
            report(namespace.to_owned());
        }
    }
    for sysctl in items(&pod["securityContext"], "sysctls") {
        if !sysctl["name"].as_str().is_some_and(|name| SYSCTLS.contains(&name)) {
            report(format!("sysctl {}", text(&sysctl["name"])));
        }
    }
    for (key, value) in annotations {
        let [key, value] = [key, value].map(|word| word.as_str().unwrap_or_default());
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/")
            && !(value == "runtime/default" || value.starts_with("localhost/"))
        {
            report(format!("annotation {key}: {value}"));
        }
    }
    of_either(&pod["securityContext"], report);
}

fn of_container(pod: &Value, container: &Value, report: &mut dyn FnMut(String)) {
    let (own, pods) = (&container["securityContext"], &pod["securityContext"]);
    of_either(own, report);
    if on(&own["privileged"]) {
        report("privileged".to_owned());
    }
    if own["allowPrivilegeEscalation"] != false {
        report("allowPrivilegeEscalation is not false".to_owned());
    }
    if !items(&own["capabilities"], "drop").any(|capability| capability == "ALL") {
        report("capabilities are not dropped".to_owned());
    }
    for capability in items(&own["capabilities"], "add").filter(|added| *added != "NET_BIND_SERVICE") {
        report(format!("capability {}", text(capability)));
    }
    if !matches!(own["procMount"].as_str(), None | Some("Default")) {
        report(format!("procMount {}", text(&own["procMount"])));
    }
    // The pod's holds unless the container says otherwise.
    let effective = |field: &str| if own[field].is_null() { &pods[field] } else { &own[field] };
    if *effective("runAsNonRoot") != true {
        report("runAsNonRoot is not true".to_owned());
    }
    if !matches!(effective("seccompProfile")["type"].as_str(), Some("RuntimeDefault" | "Localhost")) {
        report("no seccomp profile".to_owned());
    }
    for port in items(container, "ports") {
        if !matches!(port["hostPort"].as_u64(), None | Some(0)) {
            report(format!("hostPort {}", text(&port["hostPort"])));
        }
    }
    for path in CALLS {
        let call = path.iter().fold(container, |value, key| &value[*key]);
        for action in ["httpGet", "tcpSocket"] {
            if call[action]["host"].as_str().is_some_and(|host| !host.is_empty()) {
                report(format!("{} calls {}", path.join("."), text(&call[action]["host"])));
            }
        }
    }
}

/// What pods and containers may say alike.
fn of_either(security: &Value, report: &mut dyn FnMut(String)) {
    if security["runAsUser"] == 0 {
        report("runAsUser 0".to_owned());
    }
    if on(&security["windowsOptions"]["hostProcess"]) {
        report("hostProcess".to_owned());
    }
    if !matches!(security["appArmorProfile"]["type"].as_str(), None | Some("RuntimeDefault" | "Localhost")) {
        report(format!("AppArmor {}", text(&security["appArmorProfile"]["type"])));
    }
    if !matches!(security["seccompProfile"]["type"].as_str(), None | Some("RuntimeDefault" | "Localhost")) {
        report(format!("seccomp {}", text(&security["seccompProfile"]["type"])));
    }
    let selinux = &security["seLinuxOptions"];
    if !SELINUX_TYPES.contains(&selinux["type"].as_str().unwrap_or_default()) {
        report(format!("SELinux type {}", text(&selinux["type"])));
    }
    for field in ["user", "role"] {
        if selinux[field].as_str().is_some_and(|value| !value.is_empty()) {
            report(format!("SELinux {field} {}", text(&selinux[field])));
        }
    }
}

/// What a volume is, where that is not the pod's own: its type, and a host's path.
fn foreign(volume: &Value) -> Option<String> {
    let kind = volume.as_mapping()?.keys().filter_map(Value::as_str).find(|key| *key != "name")?;
    let forbidden = !VOLUMES.contains(&kind);
    forbidden
        .then(|| [kind, volume[kind]["path"].as_str().unwrap_or_default()].join(" ").trim_end().to_owned())
}

fn items<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    value[list].as_sequence().into_iter().flatten()
}

/// What is neither left out nor false is on: also what is not understood.
fn on(value: &Value) -> bool {
    !(value.is_null() || *value == false)
}

fn text(value: &Value) -> String {
    serde_yaml_ng::to_string(value).unwrap().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
securityContext: {seccompProfile: {type: RuntimeDefault}}
containers:
  - name: c
    volumeMounts: [{name: v, mountPath: /v}]
    securityContext:
      runAsNonRoot: true
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}
volumes: [{name: v, emptyDir: {}}]
";

    fn of(text: &str) -> Vec<String> {
        let pod = serde_yaml_ng::from_str(text).unwrap();
        breaches(&Mapping::new(), &pod).into_iter().collect()
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert!(of(GOOD).is_empty(), "{:?}", of(GOOD));
        let pods = GOOD
            .replace("      runAsNonRoot: true\n", "")
            .replace("securityContext: {seccomp", "securityContext: {runAsNonRoot: true, seccomp");
        assert!(of(&pods).is_empty());
    }

    /// Each rule by the smallest change that breaks it.
    #[test]
    fn each_rule_bites() {
        for (from, to, expected) in [
            ("containers:", "hostPID: true\ncontainers:", "pod: hostPID"),
            ("containers:", "hostNetwork: true\ncontainers:", "pod: hostNetwork"),
            ("containers:", "hostIPC: yes it is\ncontainers:", "pod: hostIPC"),
            (
                "{seccomp",
                "{sysctls: [{name: kernel.msgmax, value: '1'}], seccomp",
                "pod: sysctl kernel.msgmax",
            ),
            ("{seccomp", "{runAsUser: 0, seccomp", "pod: runAsUser 0"),
            ("{seccomp", "{windowsOptions: {hostProcess: true}, seccomp", "pod: hostProcess"),
            ("{seccomp", "{appArmorProfile: {type: Unconfined}, seccomp", "pod: AppArmor Unconfined"),
            ("{seccomp", "{seLinuxOptions: {type: spc_t}, seccomp", "pod: SELinux type spc_t"),
            ("{seccomp", "{seLinuxOptions: {user: u}, seccomp", "pod: SELinux user u"),
            ("{seccompProfile: {type: RuntimeDefault}}", "{}", "c: no seccomp profile"),
            ("      runAs", "      seccompProfile: {type: Unconfined}\n      runAs", "c: seccomp Unconfined"),
            ("      runAs", "      runAsUser: 0\n      runAs", "c: runAsUser 0"),
            ("      runAs", "      privileged: true\n      runAs", "c: privileged"),
            ("      runAs", "      procMount: Unmasked\n      runAs", "c: procMount Unmasked"),
            ("runAsNonRoot: true", "runAsNonRoot: false", "c: runAsNonRoot is not true"),
            ("Escalation: false", "Escalation: true", "c: allowPrivilegeEscalation is not false"),
            ("      allowPrivilegeEscalation: false\n", "", "c: allowPrivilegeEscalation is not false"),
            ("drop: [ALL]", "drop: [CHOWN]", "c: capabilities are not dropped"),
            ("[NET_BIND_SERVICE]", "[SYS_ADMIN]", "c: capability SYS_ADMIN"),
            ("    volumeM", "    ports: [{containerPort: 1, hostPort: 1}]\n    volumeM", "c: hostPort 1"),
            (
                "    volumeM",
                "    lifecycle: {preStop: {httpGet: {host: h}}}\n    volumeM",
                "c: lifecycle.preStop calls h",
            ),
            ("emptyDir: {}", "hostPath: {path: /etc}", "c: hostPath /etc, writable"),
            ("emptyDir: {}", "nfs: {server: s}", "c: nfs, writable"),
            ("volumes: [", "volumes: [{name: w, hostPath: {path: /}}, ", "pod: hostPath /"),
            ("containers:", "initContainers: [{name: i}]\ncontainers:", "i: runAsNonRoot is not true"),
        ] {
            let changed = GOOD.replacen(from, to, 1);
            assert_ne!(changed, GOOD, "{from}");
            assert!(of(&changed).iter().any(|found| found == expected), "{expected}: {:?}", of(&changed));
        }
        let key = "container.apparmor.security.beta.kubernetes.io/c";
        let annotations = Mapping::from_iter([(key.into(), "unconfined".into())]);
        assert_eq!(breaches(&annotations, &serde_yaml_ng::from_str(GOOD).unwrap()).len(), 1);
    }
}
