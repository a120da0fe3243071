#!/usr/bin/env bash
# Runs cargo inside the cached root `rust`. Started by build-guest in a mount namespace of its own, so that all that is
# mounted here vanishes with it; the root itself is not written to.
#
#   in-root.sh ROOT CHECKOUT TARGET-DIR CARGO-HOME CARGO-ARGUMENT...
set -euo pipefail
root=$1 checkout=$2 target=$3 cargo_home=$4
shift 4

mount --rbind -- "$root" "$root"
mount --bind -- "$checkout" "$root/build/checkout"
mount --bind -- "$target" "$root/build/target"
mount --bind -- "$cargo_home" "$root/build/cargo"
mount --rbind /dev "$root/dev"
# Where parts of /proc are hidden, as in a container, the kernel refuses a user a new one.
mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
# For cargo fetch: how this machine finds and trusts servers.
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
    if [[ -e $file && -e $root$file && ! -L $root$file ]]; then mount --bind -- "$file" "$root$file"; fi
done

# Debian's compiler comes without rust-lld, the linker that it would take by itself.
environment=(HOME=/build PATH=/usr/bin:/bin LANG=C.UTF-8 CARGO_HOME=/build/cargo CARGO_TARGET_DIR=/build/target
    RUSTC=/usr/bin/rustc RUSTC_WRAPPER='' CARGO_TARGET_WASM32_WASIP1_LINKER=/usr/bin/wasm-ld)
# What decides how cargo reaches its registry and how it talks.
for name in http_proxy https_proxy HTTPS_PROXY no_proxy NO_PROXY ALL_PROXY CARGO_HTTP_PROXY CARGO_HTTP_TIMEOUT \
    CARGO_NET_RETRY CARGO_TERM_COLOR CARGO_BUILD_JOBS; do
    [[ -z ${!name:-} ]] || environment+=("$name=${!name}")
done
exec chroot "$root" /usr/bin/env -i "${environment[@]}" \
    sh -c 'cd /build/checkout && exec /usr/bin/cargo "$@"' cargo "$@"
