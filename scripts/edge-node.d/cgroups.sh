# shellcheck shell=bash
# The node's cgroups: made before it boots, emptied and removed after. Sourced, after paths.sh.
#
# With cgroup v1 (also "hybrid") the node gets one cgroup in each hierarchy, below the one that this process is in, so
# that limits which hold here hold there. With v2 it gets one at the top of the tree that is visible here, because a
# cgroup that has processes, as ours does, cannot have children with controllers.

# cgroup_version: prints 1 when at least one controller is on a v1 hierarchy, else 2. EDGE_NODE_CGROUP_VERSION=2 has a
# hybrid machine try v2, where it has few controllers or none.
cgroup_version() {
    if [[ -n ${EDGE_NODE_CGROUP_VERSION:-} ]]; then
        echo "$EDGE_NODE_CGROUP_VERSION"
    elif grep --quiet --extended-regexp '^[0-9]+:[a-z]' <(grep --invert-match ':name=' /proc/self/cgroup); then
        echo 1
    else
        echo 2
    fi
}

# v1_hierarchies: prints "CONTROLLERS" of each v1 hierarchy as mount options, e.g. "cpu,cpuacct" or "name=systemd".
v1_hierarchies() { awk -F : '$2 != "" { print $2 }' /proc/self/cgroup; }

# v1_parent CONTROLLERS: prints the folder of the cgroup of this process in that hierarchy; nothing if it is not mounted.
v1_parent() {
    local own target root options
    own=$(awk -F : -v c="$1" '$2 == c { sub(/^[^:]*:[^:]*:/, ""); print }' /proc/self/cgroup)
    while read -r target root options; do
        [[ ,$options, == *,"$1",* ]] || continue
        # In a container the mount shows a part of the tree only, and our path may or may not start with that part.
        [[ $root == / || $own != "$root"* ]] || own=${own#"$root"}
        own=${own%/}
        if [[ -d $target$own ]]; then printf '%s\n' "$target$own"; else printf '%s\n' "$target"; fi
        return
    done < <(findmnt --noheadings --raw --types cgroup --output TARGET,FSROOT,OPTIONS)
}

# v2_root: prints where cgroup v2 is mounted.
v2_root() { findmnt --noheadings --raw --types cgroup2 --output TARGET | head -n 1; }

# make_cgroups: makes the node's cgroups and prints the folder of each. Says why it fails, whether or not `set -e` counts.
make_cgroups() {
    local controllers parent dir file
    if [[ $(cgroup_version) == 2 ]]; then
        parent=$(v2_root)
        [[ -n $parent ]] || die "cgroup v2 is not mounted: mount it on /sys/fs/cgroup"
        dir=$parent/$NODE_CGROUP
        mkdir -p -- "$dir" || return 1
        local -a names
        read -r -a names <"$parent/cgroup.controllers"
        for controllers in "${names[@]}"; do
            { printf '+%s' "$controllers" >"$parent/cgroup.subtree_control"; } 2>/dev/null ||
                warn "the controller $controllers cannot be handed to the node"
        done
        printf '%s\n' "$dir"
        return
    fi
    v1_hierarchies | grep --quiet '^name=systemd$' ||
        die "cgroup v1 without the hierarchy name=systemd: mount it (mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd)"
    while read -r controllers; do
        parent=$(v1_parent "$controllers")
        # A hierarchy that is not mounted here is one that the node can do without.
        [[ -n $parent ]] || continue
        dir=$parent/$NODE_CGROUP
        mkdir -p -- "$dir" || return 1
        # A new cpuset has no processor and no memory node, and takes no process until it has.
        for file in cpuset.cpus cpuset.mems; do
            [[ ! -e $parent/$file ]] || cat -- "$parent/$file" >"$dir/$file"
        done
        printf '%s\n' "$dir"
    done < <(v1_hierarchies)
}

# find_cgroups: prints each cgroup of the node, whoever made it and below whatever.
find_cgroups() {
    local -a mounts
    mapfile -t mounts < <(findmnt --noheadings --raw --types cgroup,cgroup2 --output TARGET)
    [[ ${#mounts[@]} -eq 0 ]] || find "${mounts[@]}" -type d -name "$NODE_CGROUP" -prune 2>/dev/null || true
}

# all_cgroups DIR...: prints each cgroup in these, children first.
all_cgroups() { [[ $# -eq 0 ]] || find "$@" -depth -type d 2>/dev/null || true; }

# reap: ends each process that is in a cgroup of the node, and removes the cgroups. Membership is the proof that a
# process is the node's. Fails when something is left after a bounded time.
reap() {
    local tries pid init
    local -a roots dirs pids
    for ((tries = 0; tries < 200; tries++)); do
        mapfile -t roots < <(find_cgroups)
        [[ ${#roots[@]} -gt 0 ]] || return 0
        # The first process of the PID namespace takes all others with it.
        if init=$(init_pid); then kill -KILL "$init" 2>/dev/null || true; fi
        mapfile -t dirs < <(all_cgroups "${roots[@]}")
        mapfile -t pids < <(cat -- "${dirs[@]/%//cgroup.procs}" 2>/dev/null | sort --unique)
        for pid in "${pids[@]}"; do
            # Asked again just before, for the number may have been given to another one meanwhile.
            if [[ $pid -gt 1 ]] && grep --quiet "/$NODE_CGROUP\(/\|\$\)" "/proc/$pid/cgroup" 2>/dev/null; then
                kill -KILL "$pid" 2>/dev/null || true
            fi
        done
        [[ ${#dirs[@]} -eq 0 ]] || rmdir -- "${dirs[@]}" 2>/dev/null || true
        [[ -n $(find_cgroups) ]] || return 0
        sleep 0.05
    done
    return 1
}
