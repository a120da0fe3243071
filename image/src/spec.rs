//! Every constant of the OCI image format that this crate reads or writes, each once, with its source.

/// The marker file of an image layout.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md#oci-layout-file>
pub const LAYOUT_FILE: &str = "oci-layout";
/// The only version of the layout there is. Same source.
pub const LAYOUT_VERSION: &str = "1.0.0";
/// The entry point of an image layout.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md#indexjson-file>
pub const INDEX_FILE: &str = "index.json";
/// The folder of an image layout that holds `<algorithm>/<hex>`.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md#blobs>
pub const BLOBS_DIR: &str = "blobs";
/// `schemaVersion` of manifests and indexes.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>
pub const SCHEMA_VERSION: u32 = 2;

/// An image index.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md>
pub const MEDIA_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An image manifest. Same source.
pub const MEDIA_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An image configuration. Same source.
pub const MEDIA_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A plain layer. Same source.
pub const MEDIA_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// A gzip layer, the one that this crate writes. Same source.
pub const MEDIA_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A zstd layer. Same source.
pub const MEDIA_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// The configuration of an artifact that has none: the two bytes `{}`.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor>
pub const MEDIA_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A list of what a program is made of, in CycloneDX's JSON: the type of the artifact and of its one layer.
/// <https://www.iana.org/assignments/media-types/application/vnd.cyclonedx+json>
pub const MEDIA_CYCLONEDX: &str = "application/vnd.cyclonedx+json";
/// What `bomFormat` says in each of these. <https://cyclonedx.org/docs/1.6/json/#bomFormat>
pub const CYCLONEDX_FORMAT: &str = "CycloneDX";

/// Docker's manifest list, read as an index.
/// <https://github.com/distribution/distribution/blob/main/docs/content/spec/manifest-v2-2.md>
pub const MEDIA_DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's manifest. Same source.
pub const MEDIA_DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's configuration. Same source.
pub const MEDIA_DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's gzip layer. Same source.
pub const MEDIA_DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Names an image within a layout: the tag, which skopeo, umoci and oras look for.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full name that `ctr images import` gives the image.
/// <https://github.com/containerd/containerd/blob/main/core/images/annotations.go>
pub const ANNOTATION_CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The image's title. <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>
pub const ANNOTATION_TITLE: &str = "org.opencontainers.image.title";
/// The version of what is packed. Same source.
pub const ANNOTATION_VERSION: &str = "org.opencontainers.image.version";
/// When the image was made, RFC 3339. Same source.
pub const ANNOTATION_CREATED: &str = "org.opencontainers.image.created";
/// The licences of what is packed, an SPDX expression. Same source.
pub const ANNOTATION_LICENSES: &str = "org.opencontainers.image.licenses";

/// Marks an ordinary image whose entry point is a wasm module.
/// <https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md>
pub const ANNOTATION_WASM_VARIANT: &str = "module.wasm.image/variant";
/// Run the module by wasm, and what else is in the pod natively: crun then looks at each entry point.
/// <https://github.com/containers/crun/blob/main/docs/wasm-wasi-on-kubernetes.md>
pub const WASM_VARIANT_COMPAT_SMART: &str = "compat-smart";
/// How crun's `compat-smart` knows a module: the entry point's last letters.
/// <https://github.com/containers/crun/blob/main/src/libcrun/handlers/handler-utils.c>
pub const WASM_ENTRY_SUFFIXES: [&str; 2] = [".wasm", ".wat"];

/// The configuration of a wasm artifact as CNCF's working group lays it out. Its layers are the modules themselves; one
/// with more than a single layer is to be rejected. `wkg` and runwasi's `oci-tar-builder --as-artifact` write it.
/// <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>
pub const MEDIA_WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The layer of a wasm artifact: a module or a component, bare. Same source.
pub const MEDIA_WASM_LAYER: &str = "application/wasm";
/// `os` of a wasm artifact that holds a core module. Same source.
pub const WASM_ARTIFACT_OS: &str = "wasip1";
/// `architecture` of everything that is wasm. Same source.
pub const WASM_ARCHITECTURE: &str = "wasm";
/// The configuration that `wasm-to-oci` pushes: an empty object.
/// <https://github.com/engineerd/wasm-to-oci/blob/main/pkg/oci/mediatypes.go>
pub const MEDIA_WASM_TO_OCI_CONFIG: &str = "application/vnd.wasm.config.v1+json";
/// The layer that `wasm-to-oci` pushes and Krustlet pulls: a module, bare. Same source.
pub const MEDIA_WASM_TO_OCI_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// The layer that runwasi's `oci-tar-builder` writes under an ordinary configuration: a module or a component, bare.
/// <https://github.com/containerd/runwasi/blob/main/crates/oci-tar-builder/src/lib.rs>
pub const MEDIA_RUNWASI_LAYER: &str = "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm";
/// The custom section in which WasmEdge keeps the native code that it compiled a module to.
/// <https://github.com/WasmEdge/WasmEdge/blob/0.14.1/lib/loader/ast/module.cpp>
pub const AOT_SECTION: &str = "wasmedge";
/// The version of that section's format, its first number.
/// <https://github.com/WasmEdge/WasmEdge/blob/0.14.1/include/aot/version.h>
pub const AOT_FORMAT: u32 = 1;
/// That section's numbers of operating systems, and Go's words for them.
/// <https://github.com/WasmEdge/WasmEdge/blob/0.14.1/lib/loader/aot_section.cpp>
pub const AOT_SYSTEMS: [(u8, &str); 3] = [(1, "linux"), (2, "darwin"), (3, "windows")];
/// That section's numbers of architectures, and Go's words for them. Same source.
pub const AOT_ARCHITECTURES: [(u8, &str); 4] = [(1, "amd64"), (2, "arm64"), (3, "riscv64"), (4, "arm")];
/// Which engine compiled the module of a manifest, and its version: `wasmedge 0.14.1`. This project's own.
pub const ANNOTATION_COMPILED_BY: &str = "wasm-image/compiled-by";

/// The one module that a WASI preview 1 command imports from.
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md>
pub const WASI_MODULE: &str = "wasi_snapshot_preview1";
/// The functions of WASI preview 1. Same source, and `sock_accept`, which was added to it.
pub const WASI_FUNCTIONS: [&str; 46] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_exit",
    "proc_raise",
    "random_get",
    "sched_yield",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];
/// What WasmEdge adds to that module: sockets that connect and listen.
/// <https://github.com/WasmEdge/WasmEdge/blob/0.14.1/lib/host/wasi/wasimodule.cpp>
pub const WASMEDGE_FUNCTIONS: [&str; 23] = [
    "epoll_oneoff",
    "sock_accept_v2",
    "sock_bind",
    "sock_bind_v2",
    "sock_connect",
    "sock_connect_v2",
    "sock_getaddrinfo",
    "sock_getlocaladdr",
    "sock_getlocaladdr_v2",
    "sock_getpeeraddr",
    "sock_getpeeraddr_v2",
    "sock_getsockopt",
    "sock_listen",
    "sock_listen_v2",
    "sock_open",
    "sock_open_v2",
    "sock_recv_from",
    "sock_recv_from_v2",
    "sock_recv_v2",
    "sock_send_to",
    "sock_send_to_v2",
    "sock_send_v2",
    "sock_setsockopt",
];
/// The function that a WASI command exports: its main program.
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/application-abi.md>
pub const WASI_START: &str = "_start";
/// The memory that a WASI command exports for its host. Same source.
pub const WASI_MEMORY: &str = "memory";

/// Seconds since 1970 that stand in for the clock, so that builds can be repeated.
/// <https://reproducible-builds.org/specs/source-date-epoch/>
pub const ENV_SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";
