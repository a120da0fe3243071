//! Platforms: `linux/amd64`, `wasi/wasm`. Knows which ELF machine a native platform is.

use std::fmt;
use std::str::FromStr;

use oci_spec::image::{Arch, Os, Platform as OciPlatform, PlatformBuilder};

use crate::spec;

/// An operating system, an architecture in Go's words, and perhaps a variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// Why a string is no platform.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("platform {0:?} is invalid: expected os/arch or os/arch/variant, such as linux/arm64")]
pub struct PlatformError(String);

/// The native platforms that images can be built for: architecture in Go's words, and `e_machine` of its ELF
/// files. <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>
const NATIVE: [(&str, u16); 7] = [
    ("amd64", 62),
    ("arm64", 183),
    ("arm", 40),
    ("386", 3),
    ("riscv64", 243),
    ("ppc64le", 21),
    ("s390x", 22),
];

/// Architectures that Rust and Go call by different names.
const RUST_NAMES: [(&str, &str); 4] =
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("x86", "386"), ("powerpc64", "ppc64le")];

impl Platform {
    /// The platforms of a module image, in the order of its index. `linux/<arch>` is what nodes pull:
    /// containerd 2.1 and later does not unpack `wasi/wasm` on a pull by kubelet.
    pub fn of_module_images() -> [Self; 3] {
        [Self::linux("amd64"), Self::linux("arm64"), Self::of_wasi()]
    }

    /// `linux` on this machine's architecture: which of an image's platforms its nodes would take.
    pub fn of_this_machine() -> Self {
        let own = std::env::consts::ARCH;
        Self::linux(RUST_NAMES.iter().find(|(rust, _)| *rust == own).map_or(own, |(_, go)| go))
    }

    /// `wasi/wasm`, the platform of a module in an ordinary image that is for no machine.
    pub fn of_wasi() -> Self {
        Self::new("wasi", spec::WASM_ARCHITECTURE)
    }

    /// What the configuration of a wasm artifact says of a module for WASI preview 1.
    /// <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>
    pub fn of_wasm_artifacts() -> Self {
        Self::new(spec::WASM_ARTIFACT_OS, spec::WASM_ARCHITECTURE)
    }

    /// The platform whose ELF files carry this `e_machine`, if images can be built for it.
    pub fn from_elf_machine(machine: u16) -> Option<Self> {
        NATIVE.iter().find(|(_, known)| *known == machine).map(|(arch, _)| Self::new("linux", arch))
    }

    /// `e_machine` of this platform's ELF files; `None` where images of binaries cannot be built.
    pub fn elf_machine(&self) -> Option<u16> {
        let known = NATIVE.iter().find(|(arch, _)| self.os == "linux" && *arch == self.architecture);
        known.map(|(_, machine)| *machine)
    }

    /// The operating system.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The architecture.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant of the architecture, as `v7` of `arm`.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    pub(crate) fn to_oci(&self) -> Result<OciPlatform, oci_spec::OciSpecError> {
        let builder = PlatformBuilder::default()
            .os(Os::from(self.os.as_str()))
            .architecture(Arch::from(self.architecture.as_str()));
        match &self.variant {
            Some(variant) => builder.variant(variant.as_str()).build(),
            None => builder.build(),
        }
    }

    /// Linux on an architecture of this crate's own tables.
    pub(crate) fn linux(architecture: &str) -> Self {
        Self::new("linux", architecture)
    }

    fn new(os: &str, architecture: &str) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: None }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let error = || PlatformError(text.chars().take(80).collect());
        let is_word = |word: &str| {
            (1..=32).contains(&word.len())
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let words: Vec<&str> = text.split('/').collect();
        if !words.iter().all(|word| is_word(word)) {
            return Err(error());
        }
        match words[..] {
            [os, architecture] => Ok(Self::new(os, architecture)),
            [os, architecture, variant] => {
                Ok(Self { variant: Some(variant.to_owned()), ..Self::new(os, architecture) })
            }
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl serde::Serialize for Platform {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for text in ["linux/amd64", "linux/arm/v7", "wasi/wasm"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "linux/", "linux/AMD64", "a/b/c/d", "../x", "linux/a b"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn knows_elf_machines() {
        assert_eq!("linux/arm64".parse::<Platform>().unwrap().elf_machine(), Some(183));
        assert_eq!("wasi/wasm".parse::<Platform>().unwrap().elf_machine(), None);
        assert_eq!(Platform::from_elf_machine(62).unwrap().to_string(), "linux/amd64");
    }
}
