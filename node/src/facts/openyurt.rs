//! OpenYurt's part on a node: yurthub, which answers the kubelet while the API server is away.

use std::path::Path;

use crate::handler::HandlerName;
use crate::spec;
use crate::system::Tree;

/// yurthub.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OpenYurt {
    /// Whether its cache has our RuntimeClass for the kubelet, by which pods start while the API server is away.
    pub caches_runtime_class: bool,
    /// Whether the kubelet is told to list instead of watch, without which it sees nothing of the cache at a restart.
    pub watch_list_off: bool,
    /// Whether the cached node says how long it may be away.
    pub autonomy: bool,
}

/// Signs of yurthub: a systemd service since OpenYurt 1.6, a static pod before.
const SIGNS: [&str; 3] = [
    "/etc/systemd/system/yurthub.service",
    "/etc/systemd/system/yurt-hub.service",
    "/etc/kubernetes/manifests/yurt-hub.yaml",
];
/// Where the kubelet's environment is set, besides folders of drop-ins.
const KUBELET_ENVIRONMENT: [&str; 3] =
    ["/etc/default/kubelet", "/etc/sysconfig/kubelet", "/etc/systemd/system/kubelet.service"];
/// A folder of drop-ins of kubelet's unit.
const KUBELET_DROP_INS: &str = "/etc/systemd/system/kubelet.service.d";

impl OpenYurt {
    pub(super) fn find(tree: &Tree, handler: &HandlerName) -> Option<Self> {
        let cache = Path::new(spec::YURTHUB_CACHE);
        let signed = SIGNS.iter().any(|path| tree.exists(Path::new(path)));
        (signed || tree.exists(cache)).then(|| {
            let kubelet = cache.join("kubelet");
            let class = kubelet.join(spec::YURTHUB_RUNTIME_CLASSES).join(handler.as_str());
            Self {
                caches_runtime_class: tree.exists(&class),
                watch_list_off: watch_list_off(tree),
                autonomy: cached_nodes(tree, &kubelet).any(|node| node.contains(spec::AUTONOMY_ANNOTATION)),
            }
        })
    }
}

fn cached_nodes(tree: &Tree, kubelet: &Path) -> impl Iterator<Item = String> {
    let folder = kubelet.join("nodes.v1.core");
    let names = tree.list(&folder).unwrap_or_default();
    names.into_iter().filter_map(move |name| tree.text(&folder.join(name))).collect::<Vec<_>>().into_iter()
}

fn watch_list_off(tree: &Tree) -> bool {
    let drop_ins = Path::new(KUBELET_DROP_INS);
    let names = tree.list(drop_ins).unwrap_or_default();
    let files = KUBELET_ENVIRONMENT
        .iter()
        .map(|path| path.into())
        .chain(names.iter().map(|name| drop_ins.join(name)));
    files.filter_map(|path| tree.text(&path)).any(|text| {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'))
            .any(|line| line.replace(['"', '\''], "").contains(&format!("{}=false", spec::WATCH_LIST_CLIENT)))
    })
}
