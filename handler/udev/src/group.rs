//! Folds a device's descendants into it.

/// The topmost devices, each with itself and its descendants; all ordered by path, as `devices` are.
pub(crate) fn grouped<D>(devices: &[D], path: fn(&D) -> &str) -> Vec<Vec<&D>> {
    // A path comes before those that begin with it, so whatever a device goes with is there already, and in order.
    let mut groups: Vec<Vec<&D>> = Vec::new();
    for device in devices {
        let place = |top: &str| groups.binary_search_by(|group| path(group[0]).cmp(top)).ok();
        match above(path(device)).find_map(place) {
            Some(group) => groups[group].push(device),
            None => groups.push(vec![device]),
        }
    }
    groups
}

/// The paths on the way down to this one.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| end).filter(|end| *end > 0).filter_map(|end| path.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_go_with_the_topmost_and_neighbours_do_not() {
        let groups = |paths: &[&'static str]| -> Vec<(&str, usize)> {
            grouped(paths, |path| path).iter().map(|group| (*group[0], group.len())).collect()
        };
        let devices =
            ["/d/usb1/1-1", "/d/usb1/1-1.2", "/d/usb1/1-1/1-1:1.0/video0", "/d/usb1/1-10", "/d/x/y"];
        assert!(devices.is_sorted());
        let expected = [("/d/usb1/1-1", 2), ("/d/usb1/1-1.2", 1), ("/d/usb1/1-10", 1), ("/d/x/y", 1)];
        assert_eq!(groups(&devices), expected);
        assert_eq!(groups(&["/a", "/a/b", "/a/b/c"]), [("/a", 3)]);
    }
}
