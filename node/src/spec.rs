//! Every name and path that others fix, each once, with its source.

/// The runtime handler that is set up unless another name is asked for: what the RuntimeClass of this project names.
pub const HANDLER: &str = "crun-wasmedge";
/// The shim that runs runc and crun alike.
/// <https://github.com/containerd/containerd/blob/main/docs/cri/config.md>
pub const RUNTIME_TYPE: &str = "io.containerd.runc.v2";
/// The annotation by which crun knows what is WebAssembly.
/// <https://github.com/containers/crun/blob/main/docs/wasm-wasi-on-kubernetes.md>
pub const VARIANT_ANNOTATION: &str = "module.wasm.image/variant";
/// Its value: what ends in `.wasm` or `.wat` is a module, everything else is native. Same source.
pub const VARIANT: &str = "compat-smart";
/// The annotations that a pod may hand to crun. Never `run.oci.*`, which would admit hooks.
pub const POD_ANNOTATIONS: &str = "module.wasm.image/*";
/// How crun's version says that it was built with the engine.
/// <https://github.com/containers/crun/blob/main/src/libcrun/handlers/wasmedge.c>
pub const CRUN_FEATURE: &str = "+WASM:wasmedge";
/// The library that crun loads when it runs a module. Same source.
pub const ENGINE_LIBRARY: &str = "libwasmedge.so.0";

/// The table of the CRI plug-in in configurations of version 2.
/// <https://github.com/containerd/containerd/blob/release/1.7/docs/cri/config.md>
pub const CRI_PLUGIN_V2: &str = "io.containerd.grpc.v1.cri";
/// The table of the CRI's runtime part in configurations of version 3 and later.
/// <https://github.com/containerd/containerd/blob/main/docs/cri/config.md>
pub const CRI_PLUGIN_V3: &str = "io.containerd.cri.v1.runtime";
/// The table of the CRI's image part in configurations of version 3 and later. Same source.
pub const IMAGES_PLUGIN_V3: &str = "io.containerd.cri.v1.images";
/// containerd's configuration where nobody says otherwise.
/// <https://github.com/containerd/containerd/blob/main/docs/man/containerd-config.toml.5.md>
pub const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";
/// containerd's socket where nobody says otherwise. Same source.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
/// The folder that containerd 2.2 and later import by themselves.
/// <https://github.com/containerd/containerd/releases/tag/v2.2.0>
pub const CONTAINERD_DROP_INS: &str = "/etc/containerd/conf.d";
/// containerd's namespace of what Kubernetes runs.
/// <https://github.com/containerd/containerd/blob/main/internal/cri/constants/constants.go>
pub const CRI_NAMESPACE: &str = "k8s.io";

/// The kubelet's configuration where kubeadm puts it.
/// <https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/>
pub const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.yaml";
/// The flags that kubeadm gives the kubelet. Same source.
pub const KUBELET_FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
/// Where yurthub keeps what it answers the kubelet with while the API server is away.
/// <https://openyurt.io/docs/core-concepts/yurthub/>
pub const YURTHUB_CACHE: &str = "/etc/kubernetes/cache";
/// RuntimeClasses in that cache, below the component's folder.
pub const YURTHUB_RUNTIME_CLASSES: &str = "runtimeclasses.v1.node.k8s.io";
/// How long a node of OpenYurt may be away without losing its pods.
/// <https://openyurt.io/docs/user-manuals/node-autonomy/node-autonomy-duration>
pub const AUTONOMY_ANNOTATION: &str = "node.openyurt.io/autonomy-duration";
/// The kubelet's feature gate that keeps a restart without API server from seeing what yurthub has cached.
pub const WATCH_LIST_CLIENT: &str = "KUBE_FEATURE_WatchListClient";

/// The label that a node gets once it has proved that it runs WebAssembly.
pub const NODE_LABEL: &str = "akri-wasm/runtime";
/// What is remembered between runs: the journal, and the bytes of before.
pub const STATE_DIR: &str = "/var/lib/wasm-node";
/// What a trial has on the node while it lasts: locked, so that there is one at a time, and gone with the next boot.
pub const TRIAL_DIR: &str = "/run/wasm-node";
/// The label, in their own configuration, by which images of a trial are known whatever they are called.
pub const TRIAL_LABEL: &str = "wasm-node/trial";
/// Kernel modules to load at boot.
pub const MODULES_FILE: &str = "/etc/modules-load.d/wasm-node.conf";
/// Kernel settings to make at boot.
pub const SYSCTL_FILE: &str = "/etc/sysctl.d/90-wasm-node.conf";
/// Where Debian 13's packages come from on another release.
pub const APT_SOURCE: &str = "/etc/apt/sources.list.d/wasm-node-trixie.sources";
/// What keeps everything else of that release away.
pub const APT_PIN: &str = "/etc/apt/preferences.d/wasm-node-trixie";
/// The release whose crun runs wasm. <https://packages.debian.org/trixie/crun>
pub const DEBIAN_RELEASE: &str = "trixie";
