//! Which of the directories that a wasm engine opened holds a path. By WASI's own calls, as what uses it.

/// The preopened directory that holds `path` most closely, and the path below it. Relative paths are below the root, as
/// everywhere in WASI: there is no current directory.
pub fn find<'p, T: Copy>(path: &'p str, preopened: &[(T, String)]) -> Option<(T, &'p str)> {
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

/// What the engine opened for this module: each with its name.
#[cfg(target_os = "wasi")]
pub fn preopened() -> Vec<(wasi::Fd, String)> {
    let mut found = Vec::new();
    // Behind standard input, output and error.
    for fd in 3.. {
        // SAFETY: asks about a number; that there is no such descriptor is one of the answers.
        let Ok(prestat) = (unsafe { wasi::fd_prestat_get(fd) }) else { break };
        // SAFETY: a directory is the only kind of preopened descriptor that there is.
        let mut name = vec![0; unsafe { prestat.u.dir.pr_name_len }];
        // SAFETY: `name` is that long, and the engine only writes to it.
        if unsafe { wasi::fd_prestat_dir_name(fd, name.as_mut_ptr(), name.len()) }.is_ok() {
            found.extend(String::from_utf8(name).map(|name| (fd, name)));
        }
    }
    found
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
