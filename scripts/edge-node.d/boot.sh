#!/usr/bin/env bash
# PID 1 of a node, from the first breath in its PID namespace until it becomes systemd. Started by supervise.sh with
# NODE_NAME, NODE_RUN, NODE_DIR, NODE_DISK (paths.sh), NODE_LOWER (the cached root), NODE_LAYER (what is laid over it, or
# nothing), NODE_PROGRAM (wasm-node; nothing for a node that stays as Debian leaves it), NODE_CGROUPS (folders, one per line)
# and NODE_HIERARCHIES (v1 hierarchies as mount options, one per line; empty with cgroup v2) in the environment.
# Every mount is made in the node's own mount namespace, so all of them vanish with its last process.
# shellcheck disable=SC2153 # they are set by supervise.sh, and not misspelt
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=paths.sh
. "$here/paths.sh"

# What does not belong on a node that shares its kernel: settings of the whole machine, its debugging doors, and timers
# that call out.
readonly MASKED=(systemd-sysctl.service systemd-udevd.service systemd-modules-load.service apt-daily.timer
    apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer sys-kernel-debug.mount
    sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount)
# What a kubelet insists on. The node cannot change the kernel's settings, but it reads these here.
readonly TUNABLES=(vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000)

fail_at() {
    if [[ ${FAIL_AT:-} == "$1" ]]; then
        echo "told to fail at $1"
        exit 1
    fi
}

# join: enters the node's cgroups, then the other namespaces; a cgroup namespace starts where its first process is.
join() {
    local dir line
    # /proc still is the host's: so is the PID. Field 22 of the line, the 20th after the name, is the start time.
    read -r line </proc/self/stat
    local -a fields
    read -r -a fields <<<"${line##*) }"
    printf '%s %s\n' "${line%% *}" "${fields[19]}" >"$NODE_RUN/init.new"
    mv -- "$NODE_RUN/init.new" "$NODE_RUN/init"
    while read -r dir; do echo 0 >"$dir/cgroup.procs"; done <<<"$NODE_CGROUPS"
    fail_at join
    exec unshare --mount --net --uts --ipc --cgroup --propagation private "$here/boot.sh" inside
}

inside() {
    root=$NODE_DIR/root
    mount_root
    fail_at root
    install_files
    mount_kernel
    mount_dev
    mount_shared
    fail_at mounts
    hostname "$NODE_NAME"
    exec 7>"$NODE_RUN/inside"
    # From here on all commands are the node's own.
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    cd -- "$root"
    pivot_root . .
    hash -r
    umount --lazy .
    cd /
    mount --make-rshared /
    set_up_network
    fail_at inside
    echo yes >&7
    exec 7>&-
    become_init
}

# mount_root: the cached root below, the node's own changes above; or a copy, on file systems that refuse overlays.
mount_root() {
    local lower=${NODE_LAYER:+$NODE_LAYER:}$NODE_LOWER
    if [[ ! -d $NODE_DISK/copy ]] &&
        mount -t overlay overlay -o "lowerdir=$lower,upperdir=$NODE_DISK/upper,workdir=$NODE_DISK/work" "$root"; then
        return
    fi
    if [[ ! -e $NODE_DISK/installed ]]; then
        echo "no overlay here: copying the root"
        mkdir -p -- "$NODE_DISK/copy"
        local from
        for from in "$NODE_LOWER" ${NODE_LAYER:+"$NODE_LAYER"} "$NODE_DISK/upper"; do
            cp --archive --reflink=auto -- "$from/." "$NODE_DISK/copy"
        done
    fi
    mount --bind -- "$NODE_DISK/copy" "$root"
}

# install_files: once. What somebody changed on a disk since then is as it was left.
install_files() {
    local unit snapshotter=overlayfs try=$NODE_DISK/containerd/try
    # containerd's data is on the host's file system, for an overlay cannot be put on top of an overlay. Where even that
    # one refuses, containerd copies.
    mkdir -p -- "$try"/{lower,upper,work,root}
    if mount -t overlay overlay -o "lowerdir=$try/lower,upperdir=$try/upper,workdir=$try/work" "$try/root"; then
        umount "$try/root"
    else
        snapshotter=native
    fi
    rm -rf -- "$try"
    echo "$snapshotter" >"$NODE_RUN/snapshotter"
    # For apt, which runs in the host's network; the file may be a link into /run on either side.
    rm -f -- "$root/etc/resolv.conf"
    cat /etc/resolv.conf >"$root/etc/resolv.conf" 2>/dev/null || true
    # Each time: the one on a kept disk may be an older one.
    [[ -z $NODE_PROGRAM ]] || install -D --mode=0755 -- "$NODE_PROGRAM" "$root/usr/local/bin/wasm-node"
    [[ ! -e $NODE_DISK/installed ]] || return 0
    cp --recursive --no-preserve=ownership -- "$here/files/etc/systemd" "$root/etc"
    fit_containerd
    if [[ -n $NODE_PROGRAM ]]; then
        cp --recursive --no-preserve=ownership -- "$here/files/." "$root"
        join_containerd "$snapshotter"
    fi
    for unit in "${MASKED[@]}"; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
    echo "$NODE_NAME" >"$root/etc/hostname"
    printf '127.0.0.1 localhost\n::1 localhost\n%s %s\n' "${NODE_ADDRESS%/*}" "$NODE_NAME" >"$root/etc/hosts"
    touch -- "$NODE_DISK/installed"
}

# fit_containerd: containerd's configuration stays Debian's but for one line, and only where this machine cannot do
# without: it may lack CAP_SYS_RESOURCE (24), and then no container's OOM score can be lowered.
fit_containerd() {
    local bounding
    bounding=$(awk '$1 == "CapBnd:" { print $2 }' /proc/self/status)
    (((16#$bounding >> 24) & 1)) || cri_setting 'restrict_oom_score_adj = true'
}

# join_containerd SNAPSHOTTER: what a person sets for a cluster, whatever its containers are: the sandbox image, which the
# demo and the tests import, for there is no registry; systemd's cgroups, as the kubelet's own page has it. Nothing of wasm.
join_containerd() {
    cri_setting 'sandbox_image = "localhost/akri-wasm/pause:dev"'
    local cri='plugins."io.containerd.grpc.v1.cri".containerd'
    {
        [[ $1 == overlayfs ]] || printf '\n[%s]\n  snapshotter = "%s"\n' "$cri" "$1"
        printf '\n[%s.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n  [%s.runtimes.runc.options]\n    SystemdCgroup = true\n' \
            "$cri" "$cri"
    } >>"$root/etc/containerd/config.toml"
}

# cri_setting LINE: into the CRI's table of Debian's configuration, which has to be there.
cri_setting() {
    local config=$root/etc/containerd/config.toml
    sed -i "/^ *\\[plugins\\.\"io\\.containerd\\.grpc\\.v1\\.cri\"\\]\$/a\\    $1" "$config"
    grep --quiet --fixed-strings --line-regexp "    $1" "$config" || {
        echo "containerd's configuration is another one than Debian 13's"
        exit 1
    }
}

# mount_kernel: /proc, /sys and the cgroups. Read-only where the settings are not the node's alone.
mount_kernel() {
    local options target
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs sysfs "$root/sys"
    if [[ -z $NODE_HIERARCHIES ]]; then
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    else
        mount -t tmpfs -o mode=0755,nosuid,nodev,noexec tmpfs "$root/sys/fs/cgroup"
        while read -r options; do
            target=$root/sys/fs/cgroup/${options#name=}
            mkdir -- "$target"
            # A named hierarchy has no controller, and mount wants that said.
            mount -t cgroup -o "${options/#name=/none,name=}" cgroup "$target" || {
                echo "cgroup hierarchy $options: refused, and left out"
                rmdir -- "$target"
                continue
            }
            # cpu,cpuacct is one hierarchy that is known by either name.
            [[ $options != *,* ]] || link_names "$options"
        done <<<"$NODE_HIERARCHIES"
    fi
    mount -o remount,bind,ro "$root/sys"
}

link_names() {
    local -a names
    local name
    IFS=, read -r -a names <<<"$1"
    for name in "${names[@]}"; do ln -s -- "$1" "$root/sys/fs/cgroup/$name"; done
}

# mount_dev: a /dev of its own, with what a container may have plus what a kubelet and containers with fuse want.
mount_dev() {
    local name
    mount -t tmpfs -o mode=0755,nosuid tmpfs "$root/dev"
    for name in null zero full random urandom tty kmsg fuse; do
        [[ -e /dev/$name ]] || continue
        : >"$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    mkdir -- "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for name in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${name%:*}" "$root/dev/${name#*:}"; done
}

# mount_shared: what the host and the node both see, and what must not be on the overlay.
mount_shared() {
    local pair
    mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$root/run"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
    for pair in "$NODE_RUN/containerd:run/containerd" "$NODE_RUN/akri:var/lib/akri" "$NODE_DISK/share:share" \
        "$NODE_DISK/containerd:var/lib/containerd"; do
        mkdir -p -- "$root/${pair#*:}"
        mount --bind -- "${pair%%:*}" "$root/${pair#*:}"
    done
    mkdir -- "$root/run/tunables"
    for pair in "${TUNABLES[@]}"; do
        [[ -e $root/proc/sys/${pair%=*} ]] || continue
        echo "${pair#*=}" >"$root/run/tunables/${pair##*/}"
        mount --bind "$root/run/tunables/${pair##*/}" "$root/proc/sys/${pair%=*}"
    done
}

set_up_network() {
    ip link set lo up
    ip link add eth0 type veth peer name uplink
    ip address add "$NODE_ADDRESS" dev eth0
    ip link set eth0 up
    ip link set uplink up
    ip route add default via "$NODE_GATEWAY"
}

# Where there is no systemd: containerd, started again whenever it ends, and nothing else. It is all that a node needs.
# shellcheck disable=SC2016 # it is the inner shell that expands
readonly PLAIN_INIT='trap "exit 0" RTMIN+3
while :; do
    containerd &
    wait
    # Not to take the processor where it cannot start.
    sleep 0.2
done'

become_init() {
    local -a environment=(container=edge-node PATH="$PATH" LANG=C.UTF-8)
    [[ -x /sbin/init ]] || exec env -i "${environment[@]}" bash -c "$PLAIN_INIT"
    # The last word keeps systemd from mounting /sys/fs/cgroup/unified, which makes crun refuse.
    [[ -z $NODE_HIERARCHIES ]] || environment+=(SYSTEMD_PROC_CMDLINE="systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 systemd.legacy_systemd_cgroup_controller=1")
    exec env -i "${environment[@]}" /sbin/init
}

case ${1:-} in
    join) join ;;
    inside) inside ;;
    *)
        echo "started by supervise.sh only" >&2
        exit 2
        ;;
esac
