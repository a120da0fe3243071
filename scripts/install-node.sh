#!/usr/bin/env bash
# Usage: scripts/install-node.sh [--plan] [--from SOURCE] [--sha256 HEX] [APPLY ARGUMENTS]
#
# Makes this machine a node that runs WebAssembly containers, and proves it: wasm-node apply, then wasm-node doctor. The program
# is taken from SOURCE and kept as /usr/local/bin/wasm-node; without SOURCE from beside this script or from PATH, and in a
# checkout it is built first (Rust 1.88 or later). Needs root.
#
#   --from FILE                          a program that was copied here
#   --from https://HOST/PATH             one that is downloaded, by curl or wget; --sha256 has to say which
#   --from image:NAME[:TAG]@sha256:HEX   the one in the project's image, pulled by this machine's containerd; the digest is the
#                                        image's, as `wasm-image push` prints it
#   --plain-http                         with image: a registry without TLS
#   --sha256 HEX                         what the program has to be; anything else is not run
#   --plan                               only print what would be changed, and why; needs no root but for image:, keeps nothing
#
# Everything else goes to `wasm-node apply`: see `wasm-node apply --help` and docs/node.md.
#
#   install-node.sh --from ./wasm-node --sha256 "$(cut -d ' ' -f 1 wasm-node.sha256)"
#
# Exit codes: as wasm-node doctor, 3 for warnings; 1 where the program is not to be had or is another one.
set -euo pipefail
# It may be read from a pipe, and have no file.
self=${BASH_SOURCE[0]:-}
here=${self:+$(cd -- "$(dirname -- "$self")" && pwd)}

# Where the program is kept.
readonly KEPT=/usr/local/bin/wasm-node
# containerd's namespace for the one image, so that nothing of it mixes with what Kubernetes runs.
readonly NAMESPACE=wasm-node-install
# The largest that a program may be, in bytes, and the longest that a download may take, in seconds.
readonly MAX_SIZE=100000000 MAX_TIME=600

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

main() {
    local plan=0 from='' sha256='' program
    local -a http=()
    while [[ $# -gt 0 ]]; do
        case $1 in
            -h | --help)
                [[ -n $self ]] || die "read from a pipe, it has no help: see docs/node.md"
                awk 'NR == 1 { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$self"
                exit 0
                ;;
            --plan) plan=1 ;;
            --plain-http) http=(--plain-http) ;;
            --from | --sha256)
                [[ $# -ge 2 ]] || die "$1 needs a value: see --help"
                if [[ $1 == --from ]]; then from=$2; else sha256=${2,,}; fi
                shift
                ;;
            *) break ;;
        esac
        shift
    done
    [[ -z $sha256 || $sha256 =~ ^[0-9a-f]{64}$ ]] || die "--sha256 takes 64 hexadecimal digits"
    [[ $plan -eq 1 || $EUID -eq 0 ]] ||
        die "this changes the node and so needs root: run it with sudo (or see what it would do with --plan)"
    architecture=$(architecture)
    work=$(mktemp --directory)
    trap 'rm -rf -- "$work"' EXIT
    case $from in
        '') program=$(find_program) ;;
        image:*) fetch_image "${from#image:}" ;;
        *://*) download "$from" "$sha256" ;;
        *) cp -- "$from" "$work/wasm-node" ;;
    esac
    [[ -z $from ]] || program=$work/wasm-node
    [[ -z $sha256 ]] || verify "$program" "$sha256"
    if [[ -n $from ]]; then
        chmod 0755 -- "$program"
        "$program" --version >/dev/null 2>&1 || die "what $from has is no wasm-node for $architecture"
    fi
    if [[ $plan -eq 1 ]]; then
        # Not by exec, for what was fetched is removed afterwards.
        "$program" plan "$@" && exit || exit $?
    fi
    if [[ -n $from ]]; then
        # Whole or not at all.
        mkdir -p -- "${KEPT%/*}"
        cp -- "$program" "$KEPT.new"
        mv -- "$KEPT.new" "$KEPT"
        program=$KEPT
    fi
    "$program" apply "$@"
    "$program" doctor && exit || exit $?
}

architecture() {
    case $(uname -m) in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) die "crun with WasmEdge is packaged for amd64 and arm64 only, and this is $(uname -m)" ;;
    esac
}

# verify FILE HEX
verify() {
    local is
    is=$(sha256sum -- "$1")
    [[ ${is%% *} == "$2" ]] || die "the program is not the one that was asked for: its SHA-256 is ${is%% *}"
}

# download URL HEX: over TLS, but from this machine itself, where nobody is in between.
download() {
    [[ -n $2 ]] || die "a program that is downloaded needs --sha256: whoever published it says what it is"
    [[ $1 == https://* || $1 =~ ^http://(localhost|127\.0\.0\.1)[:/] ]] || die "only https is taken: $1"
    if command -v curl >/dev/null; then
        curl --fail --location --silent --show-error --proto =https,http --proto-redir =https --max-filesize "$MAX_SIZE" \
            --max-time "$MAX_TIME" --output "$work/wasm-node" -- "$1" || die "cannot download $1"
    elif command -v wget >/dev/null; then
        timeout "$MAX_TIME" wget --quiet --output-document - -- "$1" | head --bytes "$MAX_SIZE" >"$work/wasm-node" || die "cannot download $1"
    else
        die "neither curl nor wget is here: install one, or copy the program here and give --from FILE"
    fi
}

# fetch_image REFERENCE: containerd pulls it, and holds what it gets against the digest.
fetch_image() {
    [[ $1 =~ @sha256:[0-9a-f]{64}$ ]] || die "the image needs its digest: image:NAME:TAG@sha256:HEX, as wasm-image push prints it"
    command -v ctr >/dev/null || die "there is no containerd here yet to pull the image: give --from FILE or a URL"
    local -a ctr=(ctr --namespace "$NAMESPACE")
    mkdir -- "$work/image"
    local status=0
    {
        "${ctr[@]}" images pull "${http[@]}" --platform "linux/$architecture" "$1" >/dev/null &&
            "${ctr[@]}" images mount --platform "linux/$architecture" "$1" "$work/image" >/dev/null &&
            cp -- "$work/image/wasm-node" "$work/wasm-node"
    } || status=$?
    "${ctr[@]}" images unmount --rm "$work/image" >/dev/null 2>&1 || true
    "${ctr[@]}" images remove --sync "$1" >/dev/null 2>&1 || true
    "${ctr[@]}" namespaces remove "$NAMESPACE" >/dev/null 2>&1 || true
    [[ $status -eq 0 ]] || die "cannot take the program out of the image $1: see above"
}

# find_program: prints where wasm-node is.
find_program() {
    if [[ -n $here && -x $here/wasm-node ]]; then
        printf '%s\n' "$here/wasm-node"
    elif [[ -n $here && -x $here/build-native && -r $here/../Cargo.toml ]]; then
        (cd -- "$here/.." && scripts/build-native wasm-node >&2)
        printf '%s\n' "$here/../target/native/linux-$architecture/wasm-node"
    else
        type -P wasm-node || die "there is no wasm-node: say where it is by --from, or put it beside this script or into PATH"
    fi
}

main "$@"
