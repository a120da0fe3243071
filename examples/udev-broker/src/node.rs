//! The device nodes that a broker was given. Akri puts a device's properties into the environment, each one twice: as
//! `UDEV_DEVNODE`, and with the Instance's hash behind it, `UDEV_DEVNODE_8120FE`, for pods with several devices. A device
//! with several nodes (`groupRecursive`) has `UDEV_DEVNODE_0`, `UDEV_DEVNODE_1` and so on, and those with the hash, too.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The property of udev's devices.
pub(crate) const PROPERTY: &str = "UDEV_DEVNODE";
/// Where device nodes are.
const DEV: &str = "/dev/";

/// The path of a device node: below `/dev`, and plain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node(String);

impl Node {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Node {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
        match text.strip_prefix(DEV) {
            Some(rest) if rest.split('/').all(plain) => Ok(Self(text.to_owned())),
            _ => Err(format!("{text:?} is no device node: it has to be a plain path below {DEV}")),
        }
    }
}

/// The nodes that the environment names, each once, in the order of their paths.
pub(crate) fn given(variables: impl Iterator<Item = (String, String)>) -> Result<BTreeSet<Node>, String> {
    let ours =
        |name: &str| name.strip_prefix(PROPERTY).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    let named = variables.filter(|(name, _)| ours(name));
    named.map(|(name, value)| value.parse().map_err(|error| format!("{name}: {error}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(given(variables)?.into_iter().map(|node| node.to_string()).collect())
    }

    #[test]
    fn a_device_is_told_with_and_without_a_hash_and_is_one() {
        let one = nodes(&[
            ("UDEV_DEVNODE", "/dev/ttyUSB0"),
            ("UDEV_DEVNODE_8120FE", "/dev/ttyUSB0"),
            ("UDEV_DEVPATH", "/devices/x"),
            ("UDEV_DEVNODES", "/dev/null"),
        ]);
        assert_eq!(one.unwrap(), ["/dev/ttyUSB0"]);
    }

    #[test]
    fn a_group_has_several() {
        let group = nodes(&[
            ("UDEV_DEVNODE_0", "/dev/bus/usb/001/002"),
            ("UDEV_DEVNODE_1", "/dev/video0"),
            ("UDEV_DEVNODE_1_8120FE", "/dev/video0"),
        ]);
        assert_eq!(group.unwrap(), ["/dev/bus/usb/001/002", "/dev/video0"]);
        assert!(nodes(&[("PATH", "/")]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_device_node_is_refused() {
        for bad in
            ["", "/dev", "/dev/", "/etc/passwd", "/dev/../etc/passwd", "/dev/./x", "/dev//x", "/dev/a\n"]
        {
            let error = nodes(&[("UDEV_DEVNODE", bad)]).unwrap_err();
            assert!(error.contains("UDEV_DEVNODE") && !error.contains('\n'), "{error}");
        }
    }
}
