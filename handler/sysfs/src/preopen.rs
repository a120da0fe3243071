//! Which of the directories that a wasm engine opened holds a path.

/// The preopened directory that holds `path` most closely, and the path below it. Relative paths are below the root, as
/// everywhere in WASI: there is no current directory.
pub(crate) fn find<'p, T: Copy>(path: &'p str, preopened: &[(T, String)]) -> Option<(T, &'p str)> {
    let path = tidy(path);
    let mut best: Option<(T, &str)> = None;
    for (directory, name) in preopened {
        if let Some(below) = below(path, tidy(name)) {
            if best.is_none_or(|(_, other)| below.len() < other.len()) {
                best = Some((*directory, below));
            }
        }
    }
    best.map(|(directory, below)| (directory, if below.is_empty() { "." } else { below }))
}

fn below<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(name)?;
    if name.is_empty() || rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// `/a/`, `./a` and `a` are the same directory, and `/`, `.` and the empty path.
fn tidy(mut path: &str) -> &str {
    while let Some(rest) = path.strip_prefix("./").or_else(|| path.strip_prefix('/')) {
        path = rest;
    }
    while let Some(rest) = path.strip_suffix("/.").or_else(|| path.strip_suffix('/')) {
        path = rest;
    }
    if path == "." { "" } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_one_holds_it() {
        let found = |path: &'static str, names: &[&str]| {
            let preopened: Vec<_> = (3..).zip(names.iter().map(|name| name.to_string())).collect();
            find(path, &preopened)
        };
        assert_eq!(found("/exchange", &["/"]), Some((3, "exchange")));
        assert_eq!(found("/exchange/", &["/", "/exchange"]), Some((4, ".")));
        assert_eq!(found("/exchange/a/b", &["/exchange", "/"]), Some((3, "a/b")));
        assert_eq!(found("exchange", &["."]), Some((3, "exchange")));
        assert_eq!(found("./exchange/.", &["/x", "/"]), Some((4, "exchange")));
        assert_eq!(found("/", &["/"]), Some((3, ".")));
        assert_eq!(found(".", &["."]), Some((3, ".")));
        assert_eq!(found("/exchanges", &["/exchange"]), None);
        assert_eq!(found("/other", &["/exchange"]), None);
        assert_eq!(found("/a/b/c", &["/a", "/a/b", "/"]), Some((4, "c")));
        assert_eq!(found("/a", &[]), None);
    }
}
