# shellcheck shell=bash
# Shared by the scripts of this folder: logging, the cache, locks, Debian packages. Sourced, never run.
# It knows nothing of nodes, guests or roots.

# The Debian release whose packages the node, the guest compiler and the engine come from.
# shellcheck disable=SC2034 # read by the scripts that source this file
readonly DEBIAN_RELEASE=trixie

# step TEXT...: says on stderr what is about to be done; stdout stays for results.
step() { printf '==> %s\n' "$*" >&2; }

# warn TEXT...: something to know that stops nothing.
warn() { printf 'warning: %s\n' "$*" >&2; }

# die TEXT...: names what is wrong and what to do, and ends the script.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# print_help FILE: the script's own header comment, from its second line to the first line that is no comment.
print_help() { awk 'NR == 1 { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$1"; }

is_root() { [[ $EUID -eq 0 ]]; }

# need_root WHAT: ends unless root.
need_root() { is_root || die "$1 needs root: run it as root (or with sudo)"; }

# cache_dir: prints the folder that holds all that is kept between runs, and makes it.
cache_dir() {
    local dir=${AKRI_WASM_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or AKRI_WASM_CACHE}/.cache}/akri-wasm}
    mkdir -p -- "$dir" || die "cannot make the cache folder $dir: set AKRI_WASM_CACHE to one that can be written"
    printf '%s\n' "$dir"
}

# with_lock FILE COMMAND...: runs it while holding an exclusive lock on FILE, waiting for whoever has it.
# The command's own children do not inherit the lock, so that nothing left behind can hold it.
with_lock() {
    local file=$1 fd
    shift
    mkdir -p -- "$(dirname -- "$file")"
    exec {fd}>>"$file"
    if ! flock --nonblock "$fd"; then
        step "waiting for another run that holds $file"
        flock "$fd"
    fi
    # Not by `|| status=$?`, for bash ignores `set -e` in all that is on the left of that.
    set +e
    (
        exec {fd}>&-
        set -e
        "$@"
    )
    local status=$?
    set -e
    exec {fd}>&-
    return "$status"
}

# missing_packages PACKAGE...: prints those that are not installed, one per line.
missing_packages() {
    local package
    while read -r package; do
        [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            printf '%s\n' "$package"
    done < <(printf '%s\n' "$@" | sort --unique)
}

# ensure_packages PACKAGE...: installs what is missing, or says how to.
ensure_packages() {
    local -a missing
    command -v dpkg-query >/dev/null || die "this is no Debian or Ubuntu: install by hand what these packages hold: $*"
    mapfile -t missing < <(missing_packages "$@")
    [[ ${#missing[@]} -gt 0 ]] || return 0
    is_root || die "missing: ${missing[*]}; install with: sudo apt-get install --no-install-recommends ${missing[*]}"
    step "installing ${missing[*]}"
    local -a install=(apt-get --quiet --quiet --yes -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0
        install --no-install-recommends "${missing[@]}")
    export DEBIAN_FRONTEND=noninteractive
    # The lists may be absent or old: they are fetched only when the first try fails.
    "${install[@]}" >/dev/null 2>&1 && return 0
    apt-get --quiet --quiet -o DPkg::Lock::Timeout=300 update >&2 || die "apt-get update failed: see above"
    "${install[@]}" >&2 || die "apt-get could not install ${missing[*]}: see above"
}

# need_commands COMMAND:PACKAGE...: installs the package of each command that is not there.
need_commands() {
    local pair
    local -a packages=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
    done
    [[ ${#packages[@]} -eq 0 ]] || ensure_packages "${packages[@]}"
}

# debian_sources FILE [RELEASE]: writes apt sources of RELEASE (DEBIAN_RELEASE without it) to FILE, from the Debian mirrors that
# this machine itself is set up to use, or from AKRI_WASM_DEBIAN_MIRROR. Fails when there is none.
debian_sources() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg uri codename label suite release=${2:-$DEBIAN_RELEASE}
    local -A seen=()
    [[ -r $keyring ]] || ensure_packages debian-archive-keyring
    : >"$1"
    while read -r uri codename label; do
        case $label:$codename in
            Debian:*-updates) suite=$release-updates ;;
            Debian:*-*) continue ;; # backports and the like
            Debian:*) suite=$release ;;
            Debian-Security:*) suite=$release-security ;;
            *) continue ;;
        esac
        [[ -z ${seen[$suite]:-} ]] || continue
        seen[$suite]=1
        printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$uri" "$suite" >>"$1"
    done < <(debian_mirrors)
    [[ -n ${seen[$release]:-} ]]
}

# debian_mirrors: prints "URI CODENAME LABEL" of each Debian archive that is configured here.
debian_mirrors() {
    if [[ -n ${AKRI_WASM_DEBIAN_MIRROR:-} ]]; then
        printf '%s %s Debian\n' "$AKRI_WASM_DEBIAN_MIRROR" "$DEBIAN_RELEASE"
        return
    fi
    local -a list=(apt-get indextargets --format "\$(REPO_URI) \$(CODENAME) \$(LABEL)"
        'Identifier: Packages' 'Component: main' 'Origin: Debian')
    local found
    found=$("${list[@]}" 2>/dev/null) || found=
    if [[ -z $found ]] && is_root; then
        # apt tells the label of an archive only once its lists are there.
        apt-get --quiet --quiet update >&2 || true
        found=$("${list[@]}" 2>/dev/null) || found=
    fi
    printf '%s\n' "$found"
}

# apt_settings: prints this machine's own apt settings that decide whether archives can be reached and trusted,
# one "Key "value";" per line, for an apt that does not read this machine's configuration.
apt_settings() { apt-config dump | grep -E '^Acquire::(Check-|Retries|ForceIPv|https?::)' || true; }

# own_platform: prints what images call this machine: linux/amd64 or linux/arm64.
own_platform() {
    case $(uname -m) in
        x86_64) echo linux/amd64 ;;
        aarch64) echo linux/arm64 ;;
        *) die "machines of the kind $(uname -m) are not provided for: x86_64 and aarch64 are" ;;
    esac
}

# arm64_emulator: prints the path of the program that runs arm64 programs here, and installs it where it is missing. By Debian's
# qemu-user without its recommendation: that one would register the emulator with this machine's kernel, for all.
arm64_emulator() {
    type -P qemu-aarch64 || type -P qemu-aarch64-static || {
        ensure_packages qemu-user
        type -P qemu-aarch64 || die "the package qemu-user has no qemu-aarch64 here: put one into PATH"
    }
}

# path_flags: prints flags for rustc that keep this machine's paths out of what it builds.
path_flags() {
    printf -- '--remap-path-prefix=%s/registry/src= --remap-path-prefix=%s=' "${CARGO_HOME:-$HOME/.cargo}" "$PWD"
    # What build scripts made is in there, and looks as where it is in the checkout.
    [[ -z ${CARGO_TARGET_DIR:-} ]] || printf -- ' --remap-path-prefix=%s=target' "$(realpath --canonicalize-missing -- "$CARGO_TARGET_DIR")"
}

# run_from_root [--emulator PROGRAM] ROOT PROGRAM ARG...: becomes a program of a Debian root, through that root's own dynamic
# loader: so neither root rights nor a chroot are needed, and this machine's libc may be older.
run_from_root() {
    local -a emulator=()
    if [[ $1 == --emulator ]]; then
        emulator=("$2")
        shift 2
    fi
    local root=$1 program=$2
    shift 2
    # /lib64/ld-linux-x86-64.so.2, /lib/ld-linux-aarch64.so.1: where packages have them, a single one in either case.
    local -a loader=("$root"/usr/lib/*-linux-gnu*/ld-linux-*.so.*)
    [[ -x ${loader[0]} ]] || die "no dynamic loader in $root: remove that folder and run this again"
    exec "${emulator[@]}" "${loader[0]}" --argv0 "$program" --library-path "${loader[0]%/*}" "$root/usr/bin/$program" "$@"
}
