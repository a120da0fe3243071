//! Folds a device's descendants into it.

use std::collections::BTreeMap;

/// Groups of devices, by the path of the first of each.
pub(crate) type Groups = BTreeMap<String, Nodes>;
/// Devices by path, each with its node if it has one.
pub(crate) type Nodes = BTreeMap<String, Option<String>>;

/// The topmost devices, each with itself and its descendants, ordered by path.
pub(crate) fn grouped(devices: Nodes) -> Groups {
    let mut groups = Groups::new();
    for (path, node) in &devices {
        groups.entry(top(&devices, path).to_owned()).or_default().insert(path.clone(), node.clone());
    }
    groups
}

/// Each device by itself.
pub(crate) fn single(devices: Nodes) -> Groups {
    let mut groups = Groups::new();
    for (path, node) in devices {
        groups.entry(path.clone()).or_default().insert(path, node);
    }
    groups
}

/// The first device on the way down to this path.
fn top<'p>(devices: &Nodes, path: &'p str) -> &'p str {
    let ends = path.match_indices('/').map(|(end, _)| end).filter(|end| *end > 0);
    ends.filter_map(|end| path.get(..end)).find(|above| devices.contains_key(*above)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_go_with_the_topmost_and_neighbours_do_not() {
        let devices =
            ["/d/usb1/1-1", "/d/usb1/1-1/1-1:1.0/video0", "/d/usb1/1-1.2", "/d/usb1/1-10", "/d/x/y"];
        let nodes: Nodes = devices.iter().map(|path| ((*path).to_owned(), None)).collect();
        let groups = grouped(nodes);
        let tops: Vec<(&str, usize)> = groups.iter().map(|(top, all)| (top.as_str(), all.len())).collect();
        assert_eq!(tops, [("/d/usb1/1-1", 2), ("/d/usb1/1-1.2", 1), ("/d/usb1/1-10", 1), ("/d/x/y", 1)]);
        let nodes: Nodes = ["/a/b/c", "/a/b", "/a"].map(|path| (path.to_owned(), None)).into();
        assert_eq!(
            grouped(nodes).into_iter().map(|(top, all)| (top, all.len())).next(),
            Some(("/a".into(), 3))
        );
    }
}
