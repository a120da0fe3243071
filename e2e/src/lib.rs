//! The whole, end to end: plays the kubelet towards containerd and the Akri Agent towards the proxy.
//!
//! One story is told on two stages. `story` says what happens and what has to be seen; a `Stage` is where it happens:
//! - `node_stage`: a pod on a Debian 13 node (`node`: scripts/edge-node), made through the CRI (`cri`) from the very
//!   DaemonSet that users apply (`manifest`, `pod`);
//! - `process_stage`: the same handler and proxy as two processes, where there is no root.
//!
//! `watch` is `akri-proxy discover --watch`, read line by line; `measure` takes figures, `measured_pod` is what the
//! benchmarks' pods have in common; `inspect` shows what crictl would show. Every wait ends with the event that it waits for, or with an error that says what did not happen.
//!
//! `faults` is another story: the campaign in which everything dies and nothing may show.
//!
//! `crictl` is the program `inspect`: what crictl shows of pods, on a node without it.
//!
//! `pod_bench` takes debugEcho's figures, beside the goals that they are held against.
//!
//! `udev_bench` takes the udev handler's figures, on `loops`, which are devices that can be plugged in.
//!
//! It knows no device protocol and no file of the exchange directory but the inputs that people write, too.

pub mod cri;
pub mod crictl;
pub mod demo;
pub mod device_plugin;
pub mod discovered;
pub mod faults;
pub mod images;
pub mod inspect;
pub mod loops;
pub mod manifest;
pub mod measure;
mod measured_pod;
pub mod node;
pub mod node_stage;
pub mod pod;
pub mod pod_bench;
pub mod process;
pub mod process_stage;
pub mod say;
pub mod stage;
pub mod story;
pub mod udev_bench;
mod uds;
pub mod wait;
pub mod watch;

/// The runtime handler of containerd on the node, and the RuntimeClass that stands for it.
pub const RUNTIME_HANDLER: &str = "crun-wasmedge";
/// The annotation by which crun finds modules; the runtime handler's base spec carries it.
pub const VARIANT_ANNOTATION: &str = "module.wasm.image/variant";
/// Its value: what ends in `.wasm` is a module, everything else is native.
pub const VARIANT: &str = "compat-smart";
