//! How much of a stranger's image is read.

/// The bounds within which [`inspect`](super::inspect()) works; `default()` is what the command uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of one manifest, index or configuration. 4 MiB: what registries accept.
    /// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests>
    pub document: u64,
    /// Most bytes of all documents together, each counted as often as it is named: bounds the work of parsing.
    pub documents: u64,
    /// How many indexes may lie within one another. Ours need 2; attestations and bundles a few more.
    pub depth: usize,
    /// Most descriptors in all documents together; a large multi-platform image has some hundreds.
    pub descriptors: usize,
    /// Most bytes of all layers after decompression: a gzip bomb costs time, not memory, and not for ever.
    pub unpacked: u64,
    /// Most members of an archive.
    pub members: usize,
    /// Most members of one layer. A whole distribution has some ten thousand.
    pub layer_members: usize,
    /// Most bytes of a module that is taken out of an image or looked into; an interpreter of Python has 30 MB.
    pub module: u64,
    /// Most findings that are kept.
    pub findings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            document: 4 * MIB,
            documents: 64 * MIB,
            depth: 8,
            descriptors: 4096,
            unpacked: 16 * 1024 * MIB,
            members: 65_536,
            layer_members: 1_000_000,
            module: 512 * MIB,
            findings: 1000,
        }
    }
}
