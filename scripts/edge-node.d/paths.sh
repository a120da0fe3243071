# shellcheck shell=bash
# Where a node keeps what, and whether it lives. Sourced by edge-node and its supervisor, after lib.sh.
#
# RUN_BASE/NAME/          short paths, because a socket's may have 107 characters only
#   containerd/           the node's /run/containerd
#   akri/                 the node's /var/lib/akri: the sockets of Akri's agent and discovery handlers
#   init                  "PID START-TIME" of the node's systemd, as the host sees it
#   snapshotter           what containerd unpacks images with; overlayfs, or native where overlays are refused
#   ready                 there while the node is handed over to its user
# RUN_BASE/.locks/        NAME.op: who brings up or down; NAME.life: held by the supervisor as long as the node exists
# CACHE/nodes/NAME/       what may be large
#   root                  the mount point of its root
# CACHE/nodes/NAME/, or the folder that `up --disk` names, which outlives the node:
#   upper, work           the overlay over the cached root (or copy/, where overlays are refused)
#   containerd/           the node's /var/lib/containerd
#   share/                the node's /share
#   root-name             of the cached root that it was made for
#   installed             there once the node's files were put into place
# CACHE/nodes/NAME.log    the last boot: supervisor and console

readonly RUN_BASE=/run/akri-wasm
# Prefix of the name of a node's cgroup, in each hierarchy.
readonly CGROUP_PREFIX=akri-wasm-node-
# The node's address, and the one that its default route goes to: both ends of a veth pair in its own network namespace.
# shellcheck disable=SC2034 # read by the scripts that source this file
readonly NODE_ADDRESS=10.200.0.1/24 NODE_GATEWAY=10.200.0.254

# node_paths NAME: sets what the paths above are called in the code.
# shellcheck disable=SC2034 # read by the scripts that source this file
node_paths() {
    [[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?$ ]] ||
        die "'$1' is no name for a node: 1 to 31 characters of a-z, 0-9 and, in the middle, -"
    NODE_NAME=$1
    NODE_RUN=$RUN_BASE/$1
    NODE_DIR=$(cache_dir)/nodes/$1
    NODE_LOG=$NODE_DIR.log
    NODE_OP_LOCK=$RUN_BASE/.locks/$1.op
    NODE_LIFE_LOCK=$RUN_BASE/.locks/$1.life
    NODE_CGROUP=$CGROUP_PREFIX$1
}

# start_time PID: field 22 of its stat line, which together with the PID names one process for good.
start_time() {
    local line
    # The process may go between two looks; that is an answer, not an error.
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The second field is a name in parentheses that may hold spaces.
    local -a fields
    read -r -a fields <<<"${line##*) }"
    # A zombie no longer counts as a process.
    [[ ${fields[0]} != Z && ${fields[0]} != X ]] || return 1
    printf '%s\n' "${fields[19]}"
}

# init_pid: prints the PID of the node's init if that very process lives.
init_pid() {
    local pid start
    { read -r pid start <"$NODE_RUN/init"; } 2>/dev/null || return 1
    [[ $pid =~ ^[1-9][0-9]*$ && -n $start && $(start_time "$pid") == "$start" ]] || return 1
    printf '%s\n' "$pid"
}

# node_state: prints running, changing (on its way up or down) or stopped.
node_state() {
    if [[ -e $NODE_RUN/ready ]] && init_pid >/dev/null; then
        echo running
    elif [[ -e $NODE_LIFE_LOCK ]] && ! flock --nonblock --shared "$NODE_LIFE_LOCK" true; then
        echo changing
    else
        echo stopped
    fi
}

# remove_node_files: after the last process of the node is gone.
remove_node_files() {
    rm -rf --one-file-system -- "$NODE_RUN" "$NODE_DIR"
}
