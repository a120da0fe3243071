//! Paths below a tree's root: where links lead, worked out from their text alone.

use crate::compare::{find, find_last};

/// The longest path that is followed: Linux's PATH_MAX.
const LONGEST: usize = 4096;

/// Where a link in `folder` with this target leads, as a path below the root. `None` where it is absolute, leaves the root
/// or is too long: sysfs has no such links.
pub(crate) fn joined(folder: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    // Links of sysfs lead up first, and then only down.
    let (mut folder, mut rest) = (folder, target);
    while let Some(behind) = rest.strip_prefix("../") {
        folder = match folder {
            "" => return None,
            folder => parent(folder).unwrap_or_default(),
        };
        rest = behind;
    }
    let path = if is_plain(rest) { with(folder, rest) } else { walked(folder, rest)? };
    (!path.is_empty() && path.len() <= LONGEST).then_some(path)
}

/// A path and what is below it there.
pub(crate) fn with(folder: &str, rest: &str) -> String {
    // With room for a slash before it.
    let mut path = String::with_capacity(folder.len() + rest.len() + 2);
    path.push_str(folder);
    if !folder.is_empty() {
        path.push('/');
    }
    path.push_str(rest);
    path
}

/// The same for a target of whatever parts.
fn walked(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether a path has no part that is empty or begins with a dot.
fn is_plain(path: &str) -> bool {
    let mut rest = path;
    loop {
        if matches!(rest.as_bytes().first(), None | Some(b'/' | b'.')) {
            return false;
        }
        let Some(slash) = find(rest, b'/') else { return true };
        rest = rest.get(slash + 1..).unwrap_or_default();
    }
}

/// Whether a text from outside can be the name of an entry, and nothing but that.
pub(crate) fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.len() <= LONGEST
        && find(text, b'/').is_none()
        && find(text, 0).is_none()
}

/// The directory that holds `path`; `None` for a path of one part.
pub(crate) fn parent(path: &str) -> Option<&str> {
    path.get(..find_last(path, b'/')?)
}

/// The last part of `path`.
pub(crate) fn name(path: &str) -> &str {
    find_last(path, b'/').and_then(|slash| path.get(slash + 1..)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_below_the_root_or_nowhere() {
        let to = |target| joined("class/block", target);
        assert_eq!(to("../../devices/virtual/block/loop0").as_deref(), Some("devices/virtual/block/loop0"));
        assert_eq!(to("./x//y").as_deref(), Some("class/block/x/y"));
        assert_eq!(to("../../devices/./a/../.b//c").as_deref(), Some("devices/.b/c"));
        assert_eq!(to("self").as_deref(), Some("class/block/self"));
        assert_eq!(joined("", "devices/x").as_deref(), Some("devices/x"));
        for bad in ["/etc/passwd", "../../../etc/passwd", "../..", "../../", "../../a/../..", "../../../x"] {
            assert_eq!(to(bad), None, "{bad}");
        }
        assert_eq!(to(&"x/".repeat(LONGEST)), None);
    }

    #[test]
    fn names_are_names() {
        assert!(is_name("1-1:1.0") && is_name("cciss!c0d0"));
        for bad in ["", ".", "..", "a/b", "a\0"] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert_eq!((parent("a/b/c"), parent("a"), name("a/b/c"), name("a")), (Some("a/b"), None, "c", "a"));
    }
}
