//! The engine's version, and whether it runs compiled code at all.

use std::fmt;

/// From this minor version of 0.x on, WasmEdge interprets modules with compiled code unless its caller asks otherwise,
/// which crun does not.
const FIRST_INTERPRETING: u32 = 17;

/// A version of WasmEdge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EngineVersion {
    /// 0 so far.
    pub major: u32,
    /// What counts.
    pub minor: u32,
    /// Repairs.
    pub patch: u32,
}

impl EngineVersion {
    /// Whether crun with this engine runs compiled code, and does not silently interpret.
    pub fn runs_compiled_code(self) -> bool {
        self.major == 0 && self.minor < FIRST_INTERPRETING
    }
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasmedge {}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_engines_interpret() {
        let runs = |major, minor| EngineVersion { major, minor, patch: 1 }.runs_compiled_code();
        assert!(runs(0, 14) && runs(0, 16));
        assert!(!runs(0, 17) && !runs(0, 20) && !runs(1, 0));
    }
}
