#!/usr/bin/env bash
# Runs cargo inside the cached root `engine`, with this machine's Rust. Started by wasm-image in a mount namespace of its
# own, so that all that is mounted here vanishes with it; the root itself is not written to.
#
#   in-root.sh ROOT CHECKOUT TARGET-DIR CARGO-HOME SYSROOT TRIPLE CARGO-COMMAND CARGO-ARGUMENT...
set -euo pipefail
root=$1 checkout=$2 target=$3 cargo_home=$4 sysroot=$5 triple=$6 command=$7
shift 7

libraries=/usr/lib/${triple%%-*}-linux-gnu
loader=$(printf '%s\n' "$root$libraries"/ld-linux-*.so.*)

mount --rbind -- "$root" "$root"
mount --bind -- "$checkout" "$root/build/checkout"
mount --bind -- "$target" "$root/build/target"
mount --bind -- "$cargo_home" "$root/build/cargo"
mount --rbind /dev "$root/dev"
# Where parts of /proc are hidden, as in a container, the kernel refuses a user a new one.
mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
# cargo would look for its subcommands there first, and find rustup's, which knows no toolchain in here.
if [[ -d $cargo_home/bin ]]; then mount -t tmpfs tmpfs "$root/build/cargo/bin"; fi
mkdir -- "$root/tmp/rust"
mount --bind -- "$sysroot" "$root/tmp/rust"

# What is built runs outside of the root, where its loader and libraries have other names. RPATH, not RUNPATH: it holds
# for the libraries' own libraries, too. With --target, build scripts, which run here, are not meant.
flags="-C link-arg=-Wl,--dynamic-linker=$loader -C link-arg=-Wl,-rpath,$root$libraries -C link-arg=-Wl,--disable-new-dtags"

environment=(HOME=/build PATH=/tmp/rust/bin:/usr/bin:/bin LANG=C.UTF-8 CARGO_HOME=/build/cargo
    CARGO_TARGET_DIR=/build/target RUSTFLAGS="$flags" WASMEDGE_INCLUDE_DIR=/usr/include WASMEDGE_LIB_DIR="$libraries")
for name in CARGO_TERM_COLOR CARGO_BUILD_JOBS CARGO_INCREMENTAL; do
    [[ -z ${!name:-} ]] || environment+=("$name=${!name}")
done
exec chroot "$root" /usr/bin/env -i "${environment[@]}" \
    sh -c 'cd /build/checkout && exec cargo "$@"' cargo "$command" --locked --offline --target "$triple" "$@"
