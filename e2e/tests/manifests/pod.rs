//! The pod that is made through the CRI against the DaemonSet that it is made from.

use e2e::manifest::{DaemonSet, Quantity};
use e2e::pod::{NodeVolume, Pod};
use k8s_cri::v1;

const UID: &str = "0f0f0f0f-1111-2222-3333-444444444444";

fn pod() -> (DaemonSet, Pod) {
    let set = DaemonSet::ours().unwrap();
    let pod = Pod::new(&set, UID);
    (set, pod)
}

#[test]
fn containers_are_the_daemon_sets() {
    let (set, pod) = pod();
    let group = i64::from(set.spec.template.spec.security_context.fs_group);
    for container in &set.spec.template.spec.containers {
        let made = pod.container(&container.name, 0).unwrap();
        assert_eq!(made.image.unwrap().image, container.image);
        assert!(made.command.is_empty(), "the image's entry point");
        assert_eq!(made.args, container.args);
        let env: Vec<_> = made.envs.iter().map(|env| (&env.key, &env.value)).collect();
        assert_eq!(env, container.env.iter().map(|env| (&env.name, &env.value)).collect::<Vec<_>>());
        let mounts: Vec<_> = made.mounts.iter().map(|mount| &mount.container_path).collect();
        assert_eq!(mounts, container.volume_mounts.iter().map(|mount| &mount.mount_path).collect::<Vec<_>>());

        let linux = made.linux.unwrap();
        let (security, wanted) = (linux.security_context.unwrap(), &container.security_context);
        assert_eq!(security.run_as_user.unwrap().value, i64::from(wanted.run_as_user));
        assert_eq!(security.run_as_group.unwrap().value, i64::from(wanted.run_as_group));
        assert_eq!(security.readonly_rootfs, wanted.read_only_root_filesystem);
        assert_eq!(security.no_new_privs, !wanted.allow_privilege_escalation);
        assert_eq!(security.capabilities.unwrap().drop_capabilities, wanted.capabilities.drop);
        assert_eq!(security.supplemental_groups, [group]);
        let seccomp = security.seccomp.unwrap().profile_type();
        assert_eq!(seccomp, v1::security_profile::ProfileType::RuntimeDefault);
        assert!(!security.privileged);
        let limit: Quantity = container.resources.limits["memory"].parse().unwrap();
        assert_eq!(u64::try_from(linux.resources.unwrap().memory_limit_in_bytes).unwrap(), limit.0);
    }
    assert!(pod.container("other", 0).is_err());
}

#[test]
fn volumes_and_sandbox_are_a_kubelets() {
    let (set, pod) = pod();
    let path = format!("/var/lib/kubelet/pods/{UID}/volumes/kubernetes.io~empty-dir/exchange");
    assert_eq!(
        pod.volumes().unwrap(),
        [
            NodeVolume::Memory { path, bytes: 16 << 20, group: 65532 },
            NodeVolume::Directory { path: "/var/lib/akri".to_owned() }
        ]
    );
    let sandbox = pod.sandbox();
    assert_eq!(sandbox.metadata.unwrap().name, format!("{}-0f0f0", set.metadata.name));
    for (key, value) in &set.spec.template.metadata.labels {
        assert_eq!(sandbox.labels.get(key), Some(value));
    }
    let parent = sandbox.linux.unwrap().cgroup_parent;
    assert!(parent.ends_with("-pod0f0f0f0f_1111_2222_3333_444444444444.slice"), "{parent}");
}

#[test]
fn a_restarted_container_is_the_same_with_another_attempt_and_log() {
    let (_, pod) = pod();
    let (first, mut second) = (pod.container("handler", 0).unwrap(), pod.container("handler", 1).unwrap());
    assert_eq!(second.metadata.as_ref().unwrap().attempt, 1);
    assert_ne!(first.log_path, second.log_path);
    (second.metadata, second.log_path) = (first.metadata.clone(), first.log_path.clone());
    assert_eq!(first, second);
}
