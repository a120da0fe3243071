#!/usr/bin/env bash
# Usage: scripts/install-node.sh [--plan] [APPLY ARGUMENTS]
#
# Makes this machine a node that runs WebAssembly containers, and proves it: wasm-node apply, then wasm-node doctor. Takes
# wasm-node from beside this script or from PATH; in a checkout it is built first (Rust 1.88 or later). Needs root.
#
#   --plan   only print what would be changed, and why; needs no root
#
# Everything else goes to `wasm-node apply`: see `wasm-node apply --help` and docs/node.md.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

main() {
    [[ ${1:-} != -h && ${1:-} != --help ]] || { awk 'NR == 1 { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "${BASH_SOURCE[0]}" && exit 0; }
    local program
    program=$(find_program) || exit
    if [[ ${1:-} == --plan ]]; then
        shift
        exec "$program" plan "$@"
    fi
    if [[ $EUID -ne 0 ]]; then
        echo "error: this changes the node and so needs root: run it with sudo (or see what it would do with --plan)" >&2
        exit 1
    fi
    "$program" apply "$@"
    exec "$program" doctor
}

# find_program: prints where wasm-node is.
find_program() {
    local architecture
    case $(uname -m) in
        x86_64) architecture=amd64 ;;
        aarch64) architecture=arm64 ;;
        *)
            echo "error: crun with WasmEdge is packaged for amd64 and arm64 only, and this is $(uname -m)" >&2
            return 1
            ;;
    esac
    if [[ -x $here/wasm-node ]]; then
        printf '%s\n' "$here/wasm-node"
    elif [[ -x $here/build-native && -r $here/../Cargo.toml ]]; then
        (cd -- "$here/.." && scripts/build-native wasm-node >&2)
        printf '%s\n' "$here/../target/native/linux-$architecture/wasm-node"
    else
        type -P wasm-node || {
            echo "error: there is no wasm-node: put it beside this script or into PATH" >&2
            return 1
        }
    fi
}

main "$@"
