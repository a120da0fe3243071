//! Reads the facts. Changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{
    Arch, Containerd, Crun, Engine, Facts, Kernel, Kubelet, Layout, Live, OldFile, OpenYurt, Os, containerd,
    os,
};
use crate::cri::CriError;
use crate::options::Options;
use crate::spec;
use crate::system::{Patience, System};

/// Why the facts cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// containerd's configuration.
    #[error("cannot work with containerd's configuration {path}; it was left as it is")]
    Config {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: containerd::ConfigReadError,
    },
    /// A file that would be written.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Finds out what is so.
///
/// # Errors
/// Where a file cannot be read, or is none that containerd could read.
pub fn detect(system: &dyn System, options: &Options) -> Result<Facts, DetectError> {
    let tree = system.tree();
    let layout = Layout::detect(tree, options.containerd_config.as_deref(), options.restart.as_ref());
    let config = containerd::load(tree, &layout.config)
        .map_err(|(path, source)| DetectError::Config { path, source })?;
    let containerd = Containerd::ask(system, &layout);
    let effective = containerd.as_ref().and_then(|_| containerd::dump(system, &layout, &layout.config)?.ok());
    let default_spec =
        system.run(&layout.ctr(&["oci", "spec"])).ok().filter(crate::invocation::Ran::succeeded);
    let cri = if system.is_live() {
        match system.cri(&layout.socket, Patience::None) {
            Ok(state) => Live::Up(state),
            Err(CriError::NotLive) => Live::Folder,
            Err(error) => Live::Down(error.to_string()),
        }
    } else {
        Live::Folder
    };
    let mut facts = Facts {
        os: Os::read(tree),
        arch: Arch::own(),
        live: system.is_live(),
        containerd,
        config,
        effective,
        default_spec: default_spec.map(|ran| ran.stdout),
        crun: Crun::find(system),
        engine: Engine::find(tree),
        apt_mirror: os::apt_mirror(tree),
        kubelet: Kubelet::find(tree),
        pod_network: tree.list(Path::new("/etc/cni/net.d")).is_ok_and(|names| {
            names.iter().any(|name| name.ends_with(".conflist") || name.ends_with(".conf"))
        }),
        openyurt: OpenYurt::find(tree, &options.handler),
        kernel: Kernel::find(tree, [spec::MODULES_FILE, spec::SYSCTL_FILE].map(Path::new)),
        cri,
        files: BTreeMap::new(),
        layout,
    };
    for path in crate::plan::candidates(&facts, options) {
        let read = |source| DetectError::Read { path: path.clone(), source };
        if let (Some(bytes), Some(attributes)) =
            (tree.read(&path).map_err(read)?, tree.attributes(&path).map_err(read)?)
        {
            facts.files.insert(path, OldFile { bytes, attributes });
        }
    }
    Ok(facts)
}
