#!/usr/bin/env bash
# The parent of one node: makes its cgroups, boots it, and cleans up after it, however it ends. Started by edge-node up
# in a session of its own, with NAME, the path of the root, those of disk and layer (or nothing), and that of wasm-node (or
# nothing, for a node that stays as Debian leaves it) as arguments and
#   stdin    a pipe whose other end only `up` has: it says "go" when it takes the node over, and its end before that
#            means that `up` was killed
#   stdout   a pipe to `up`: one line per event: "step TEXT", "ready TEXT", "failed TEXT"
#   stderr   the node's log
#   fd 9     the life lock, held until nothing of the node is left
#   fd 8     a shared lock on the cached root, so that nobody removes it meanwhile; fd 4 one on the layer
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$here/../lib.sh"
# shellcheck source-path=SCRIPTDIR source=paths.sh
. "$here/paths.sh"
# shellcheck source-path=SCRIPTDIR source=cgroups.sh
. "$here/cgroups.sh"

# Seconds until a node that does not come up is given up.
readonly BOOT_LIMIT=${EDGE_NODE_BOOT_LIMIT:-90}
# Seconds that a look inside may take, and seconds for wasm-node, which restarts containerd.
readonly LOOK_LIMIT=10 APPLY_LIMIT=60

main() {
    node_paths "$1"
    lower=$2 disk=${3:-$NODE_DIR} layer=$4 program=$5 launcher='' launched='' reason=''
    keep_nothing_else
    trap '' PIPE HUP
    trap 'reason="told to stop"; exit 1' INT TERM
    trap finish EXIT
    boot
    wait_ready
    [[ -z $program ]] || prepare
    hand_over
    # The node's whole life. A signal ends the waiting, and with it the node.
    wait "$launcher" || true
    launcher=
}

# keep_nothing_else: neither files that `up` inherited from whoever called it, nor that one's folder.
keep_nothing_else() {
    local fd
    for fd in "/proc/$$/fd/"*; do
        fd=${fd##*/}
        # 255 is where bash reads this file from.
        [[ $fd -le 2 || (-n $layer && $fd -eq 4) || $fd -eq 8 || $fd -eq 9 || $fd -eq 255 ]] || exec {fd}>&-
    done
    cd /
}

report() {
    # `up` may be dead: then nobody wants to know.
    printf '%s\n' "$*" 2>/dev/null || true
    printf '%s %s\n' "$(date +%T)" "$*" >&2
}

fail() {
    reason=$*
    exit 1
}

# fail_at STEP: for tests, which have a step fail by EDGE_NODE_FAIL_AT or stop there for a while by EDGE_NODE_PAUSE_AT.
fail_at() {
    [[ ${EDGE_NODE_PAUSE_AT:-} != "$1" ]] || pause 5 || true
    [[ ${EDGE_NODE_FAIL_AT:-} != "$1" ]] || fail "told to fail at $1"
}

# pause SECONDS: the only way to wait here. Ends at once, and the node with it, when `up` is gone.
pause() {
    local status=0
    read -r -t "$1" _ || status=$?
    [[ $status -gt 128 ]] || fail "edge-node up ended before the node was up"
}

boot() {
    report "step node $NODE_NAME: cgroups and folders"
    rm -rf --one-file-system -- "$NODE_RUN" "$NODE_DIR"
    mkdir -p -- "$NODE_DIR/root" "$disk"/{upper,work,containerd,share} "$NODE_RUN"/{containerd,akri}
    ln -s -- "$disk/share" "$NODE_RUN/share"
    # Another root's packages below would not be those that the files on the disk belong to.
    local first=${lower##*/}
    [[ ! -s $disk/root-name ]] || first=$(<"$disk/root-name")
    [[ $first == "${lower##*/}" ]] || fail "the disk $disk belongs to the root $first: remove it, or that root's successor ${lower##*/}"
    printf '%s\n' "$first" >"$disk/root-name"
    local cgroups
    cgroups=$(make_cgroups) || fail "cgroups could not be made"
    fail_at cgroups
    report "step node $NODE_NAME: boot"
    # PID 1 of the new PID namespace joins the cgroups itself, and only it: the launcher stays outside, or systemd would
    # find a process in its tree that it cannot see. Each is killed when its parent dies: supervisor, launcher, init.
    setpriv --pdeathsig KILL "$here/launch.sh" $$ \
        unshare --pid --fork --kill-child=KILL \
        env NODE_NAME="$NODE_NAME" NODE_RUN="$NODE_RUN" NODE_DIR="$NODE_DIR" NODE_LOWER="$lower" NODE_DISK="$disk" \
        NODE_LAYER="$layer" NODE_PROGRAM="$program" \
        NODE_CGROUPS="$cgroups" NODE_HIERARCHIES="$([[ $(cgroup_version) == 2 ]] || v1_hierarchies)" \
        FAIL_AT="${EDGE_NODE_FAIL_AT:-}" \
        "$here/boot.sh" join </dev/null >&2 4>&- 8>&- 9>&- &
    launcher=$!
    launched=$(start_time "$launcher") || true
}

# in_node COMMAND...: runs it inside, with all but one's patience bounded.
in_node() { in_node_for "$LOOK_LIMIT" "$@"; }

# in_node_for SECONDS COMMAND...
in_node_for() {
    local pid limit=$1
    shift
    pid=$(init_pid) || return 1
    timeout "$limit" nsenter --target "$pid" --mount --uts --ipc --net --pid --cgroup -- "$@" </dev/null 2>&1 4>&- 8>&- 9>&-
}

wait_ready() {
    local state='' began=$SECONDS
    fail_at boot
    # Only once PID 1 is inside its own root: before that, a look inside would show the host.
    until [[ -s $NODE_RUN/inside ]]; do still_booting "$began" "setting up its root"; done
    # Without systemd there is nothing but containerd to wait for.
    ! in_node test ! -x /sbin/init || state=running
    until [[ $state == running || $state == degraded ]]; do
        still_booting "$began" "systemd (state: ${state:-unknown})"
        state=$(in_node systemctl is-system-running) || true
    done
    if [[ $state == degraded ]]; then
        report "step node $NODE_NAME: degraded: $(in_node systemctl list-units --state=failed --plain --no-legend || true)"
    fi
    fail_at systemd
    until in_node ctr version >/dev/null; do still_booting "$began" "containerd"; done
    # containerd answers also when its CRI part could not be loaded, for instance because of its configuration.
    in_node ctr plugins list | grep --quiet --extended-regexp '[[:space:]]cri[[:space:]].*[[:space:]]ok' ||
        fail "containerd runs without CRI: $(in_node journalctl --unit containerd --grep cri --lines 5 --output cat)"
    fail_at containerd
}

# prepare: what a person does on a machine of theirs, and nothing else. The packages are in the root, so that no up has to
# download them, and the kernel's modules and settings are not this node's alone.
prepare() {
    local said
    report "step node $NODE_NAME: wasm-node apply"
    said=$(in_node_for "$APPLY_LIMIT" /usr/local/bin/wasm-node apply --no-packages --kernel never) ||
        fail "wasm-node apply: ${said//$'\n'/; }"
    printf '%s\n' "$said" >&2
    fail_at apply
}

# still_booting BEGAN WHAT: waits a moment for WHAT, unless that is in vain.
still_booting() {
    kill -0 "$launcher" 2>/dev/null || fail "the node ended while booting: see $NODE_LOG"
    ((SECONDS - $1 < BOOT_LIMIT)) || fail "not up after $BOOT_LIMIT s, waiting for $2: see $NODE_LOG"
    pause 0.05
}

hand_over() {
    local word=
    touch -- "$NODE_RUN/ready"
    report "ready"
    read -r -t 30 word || true
    [[ $word == go ]] || fail "edge-node up ended before it took the node over"
    # From here on nobody listens, and nobody may be kept waiting by an open pipe.
    exec </dev/null >&2
}

# finish: whatever happened, nothing stays.
finish() {
    local status=$?
    trap '' INT TERM
    set +e
    rm -f -- "$NODE_RUN/ready"
    local init
    init=$(init_pid) && kill -KILL "$init" 2>/dev/null
    if [[ -n $launcher ]]; then
        # bash may have taken note of its end already, and its number be another one's.
        [[ -z $launched || $(start_time "$launcher") != "$launched" ]] || kill -KILL "$launcher" 2>/dev/null
        wait "$launcher" 2>/dev/null
    fi
    reap || report "failed node $NODE_NAME: could not end or remove: $(find_cgroups | tr '\n' ' ')"
    remove_node_files
    [[ $status -eq 0 ]] || report "failed $reason"
    exit "$status"
}

# On one line, so that bash never reads on in a file that may be another one by the time the node ends.
main "$@" && exit
