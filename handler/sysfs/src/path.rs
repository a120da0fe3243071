//! Paths below a tree's root: where links lead, worked out from their text alone.

/// The longest path that is followed: Linux's PATH_MAX.
const LONGEST: usize = 4096;

/// Where a link in `folder` with this target leads, as a path below the root. `None` where it is absolute, leaves the root
/// or is too long: sysfs has no such links.
pub(crate) fn joined(folder: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
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
    let path = parts.join("/");
    (!path.is_empty() && path.len() <= LONGEST).then_some(path)
}

/// Whether a text from outside can be the name of an entry, and nothing but that.
pub(crate) fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['/', '\0']) && text.len() <= LONGEST
}

/// The directory that holds `path`; `None` for a path of one part.
pub(crate) fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

/// The last part of `path`.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_below_the_root_or_nowhere() {
        let to = |target| joined("class/block", target);
        assert_eq!(to("../../devices/virtual/block/loop0").as_deref(), Some("devices/virtual/block/loop0"));
        assert_eq!(to("./x//y").as_deref(), Some("class/block/x/y"));
        for bad in ["/etc/passwd", "../../../etc/passwd", "../..", "../../a/../.."] {
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
