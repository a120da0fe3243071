//! One file of an image's root, found in its layers from the uppermost down, as if they were laid over one another:
//! later members replace earlier ones, whiteouts remove what is below them, and no link is followed.
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts>

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};

use flate2::bufread::MultiGzDecoder;

use super::layer_tar::{Kind, LayerTar, Member, TarError};
use super::metered::Metered;
use super::store::Store;
use super::{ExtractError, copy};
use crate::digest::Digest;
use crate::inspect::Problem;
use crate::inspect::unpack::Compression;
use crate::inspect::wire::Target;

/// Begins the name of a member that removes another one. Same source.
const WHITEOUT: &str = ".wh.";
/// The member that removes all that lower layers have in its folder. Same source.
const OPAQUE: &str = ".wh..wh..opq";

/// A layer that is a file system.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub at: String,
    pub target: Target,
    pub diff_id: Digest,
    pub compression: Compression,
}

/// The words of a path beneath the image's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootPath(Vec<String>);

impl RootPath {
    /// `path`, beginning in `folder` unless it is absolute; `None` where it leaves the root or names the root itself.
    pub(crate) fn new(folder: &str, path: &str) -> Option<Self> {
        let folder = if path.starts_with('/') { "" } else { folder };
        let words = folder.split('/').chain(path.split('/')).filter(|word| !matches!(*word, "" | "."));
        let words: Vec<String> = words.map(str::to_owned).collect();
        (!words.is_empty() && !words.iter().any(|word| word == "..")).then_some(Self(words))
    }

    fn up_to(&self, count: usize) -> String {
        format!("/{}", self.0[..count].join("/"))
    }
}

/// Writes the file at `path` to `output`, whatever that held; false if the image has no such file.
pub(crate) fn find(
    store: &Store<'_>,
    layers: &[Layer],
    path: &RootPath,
    output: &mut File,
) -> Result<bool, ExtractError> {
    for layer in layers.iter().rev() {
        let search = look_into(store, layer, path, output)?;
        if let Some((depth, kind)) = search.blocked.first_key_value() {
            return Err(ExtractError::NotAFile { path: path.up_to(*depth), kind });
        }
        match search.found {
            Some(Kind::File) => return Ok(true),
            Some(Kind::Folder) => {
                return Err(ExtractError::NotAFile { path: path.up_to(path.0.len()), kind: "a folder" });
            }
            Some(Kind::Other(kind)) => {
                return Err(ExtractError::NotAFile { path: path.up_to(path.0.len()), kind });
            }
            None if search.hides_lower => return Ok(false),
            None => {}
        }
    }
    Ok(false)
}

/// Reads a layer to its end: what was found in it counts only once its digests are right.
fn look_into<'p>(
    store: &Store<'_>,
    layer: &Layer,
    path: &'p RootPath,
    output: &mut File,
) -> Result<Search<'p>, ExtractError> {
    let mut blob = store.blob(&layer.at, &layer.target)?;
    let mut search = Search::new(&path.0);
    let input = BufReader::with_capacity(64 * 1024, &mut blob);
    let diff_id = match layer.compression {
        Compression::None => read_tar(store, layer, input, &mut search, output)?,
        Compression::Gzip => read_tar(store, layer, MultiGzDecoder::new(input), &mut search, output)?,
    };
    blob.finish()?;
    if diff_id != layer.diff_id {
        let problem = Problem::DiffId { expected: layer.diff_id.clone(), found: diff_id };
        return Err(ExtractError::unsound(&layer.at, problem));
    }
    Ok(search)
}

/// Goes through the tar and returns its digest.
fn read_tar(
    store: &Store<'_>,
    layer: &Layer,
    input: impl Read,
    search: &mut Search<'_>,
    output: &mut File,
) -> Result<Digest, ExtractError> {
    let digest = || layer.target.digest.clone();
    let metered = Metered::new(input, layer.diff_id.algorithm(), store.unpacked_left.get());
    let mut tar = LayerTar::new(metered, store.limits.layer_members);
    let outcome = loop {
        match tar.next() {
            Ok(Some(member)) => {
                if search.member(&member) {
                    output.set_len(0).and_then(|()| output.rewind()).map_err(ExtractError::Write)?;
                    let most = store.limits.module;
                    if member.size > most {
                        return Err(ExtractError::TooMuch { what: "bytes of a module", limit: most });
                    }
                    if let Err(error) = copy::member(&mut tar, output)? {
                        break Err(TarError::Io(error));
                    }
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let mut metered = tar.into_inner();
    // What follows the end mark belongs to the digest.
    let outcome = outcome.and_then(|()| metered.drain().map_err(TarError::Io));
    if metered.is_over() {
        return Err(ExtractError::TooMuch { what: "bytes of unpacked layers", limit: store.limits.unpacked });
    }
    store.unpacked_left.set(metered.left());
    match outcome {
        Ok(()) => Ok(metered.finish()),
        Err(TarError::Io(source)) => Err(ExtractError::Layer { layer: digest(), source }),
        Err(TarError::Outside(path)) => Err(ExtractError::MemberOutside { layer: digest(), path }),
        Err(TarError::TooMany) => {
            let limit = store.limits.layer_members as u64;
            Err(ExtractError::TooMuch { what: "members in a layer", limit })
        }
    }
}

/// What one layer says about a path. Pure.
struct Search<'a> {
    path: &'a [String],
    /// What stands where one of the path's folders should be, by the number of words up to it.
    blocked: BTreeMap<usize, &'static str>,
    found: Option<Kind>,
    /// Whether the layers below have no say any more.
    hides_lower: bool,
}

impl<'a> Search<'a> {
    fn new(path: &'a [String]) -> Self {
        Self { path, blocked: BTreeMap::new(), found: None, hides_lower: false }
    }

    /// Takes note of a member; true if its content is the file's.
    fn member(&mut self, member: &Member) -> bool {
        let Some((last, folder)) = member.names.split_last() else { return false };
        if let Some(removed) = last.strip_prefix(WHITEOUT) {
            // Within its own layer a whiteout removes nothing.
            self.hides_lower |= match self.path.strip_prefix(folder) {
                Some([first, ..]) => last == OPAQUE || first == removed,
                _ => false,
            };
            return false;
        }
        if !self.path.starts_with(&member.names) {
            return false;
        }
        let depth = member.names.len();
        if depth == self.path.len() {
            // Beneath what is no folder, a layer would have been unpacked through a link.
            self.found = self.blocked.is_empty().then_some(member.kind);
            return self.found == Some(Kind::File);
        }
        match member.kind {
            Kind::Folder => {
                self.blocked.remove(&depth);
            }
            Kind::File => self.block(depth, "a file"),
            Kind::Other(kind) => self.block(depth, kind),
        }
        false
    }

    fn block(&mut self, depth: usize, kind: &'static str) {
        self.blocked.insert(depth, kind);
        self.found = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RootPath {
        RootPath::new("/", text).unwrap()
    }

    /// What is found of `a/b.wasm`, whether lower layers count, and whether something is in the way.
    fn search(members: &[(&str, Kind)]) -> (Option<Kind>, bool, bool) {
        let path = path("/a/b.wasm");
        let mut search = Search::new(&path.0);
        for (name, kind) in members {
            let names = name.split('/').map(str::to_owned).collect();
            search.member(&Member { names, kind: *kind, size: 0 });
        }
        (search.found, !search.hides_lower, !search.blocked.is_empty())
    }

    #[test]
    fn paths() {
        assert_eq!(RootPath::new("/app", "x.wasm"), RootPath::new("/", "/app/./x.wasm"));
        assert_eq!(RootPath::new("app/", "/x.wasm"), RootPath::new("/", "x.wasm"));
        for text in ["", "/", ".", "../x", "/a/../../x", "a/.."] {
            assert_eq!(RootPath::new("/", text), None, "{text}");
        }
        assert_eq!(RootPath::new("..", "x"), None);
    }

    #[test]
    fn the_last_member_counts() {
        const LINK: Kind = Kind::Other("a link");
        assert_eq!(search(&[("a/b.wasm", Kind::File)]), (Some(Kind::File), true, false));
        assert_eq!(search(&[("b.wasm", Kind::File), ("a/b", Kind::File)]), (None, true, false));
        assert_eq!(search(&[("a/b.wasm", Kind::File), ("a/b.wasm", LINK)]), (Some(LINK), true, false));
        assert_eq!(search(&[("a/b.wasm", LINK), ("a/b.wasm", Kind::File)]), (Some(Kind::File), true, false));
        // A link in place of a folder takes all beneath it away, and nothing is found through it.
        assert_eq!(search(&[("a/b.wasm", Kind::File), ("a", LINK)]), (None, true, true));
        assert_eq!(search(&[("a", LINK), ("a/b.wasm", Kind::File)]), (None, true, true));
        let again = [("a", LINK), ("a", Kind::Folder), ("a/b.wasm", Kind::File)];
        assert_eq!(search(&again), (Some(Kind::File), true, false));
    }

    #[test]
    fn whiteouts_hide_what_is_below_and_nothing_beside() {
        for name in ["a/.wh.b.wasm", ".wh.a", "a/.wh..wh..opq", ".wh..wh..opq"] {
            assert_eq!(search(&[(name, Kind::File)]), (None, false, false), "{name}");
            let (found, ..) = search(&[("a/b.wasm", Kind::File), (name, Kind::File)]);
            assert_eq!(found, Some(Kind::File), "{name}");
        }
        for name in ["a/.wh.c", ".wh.b.wasm", "b/.wh..wh..opq", "a/b.wasm/.wh..wh..opq", "a/.wh.", "x/.wh.a"]
        {
            assert_eq!(search(&[(name, Kind::File)]), (None, true, false), "{name}");
        }
    }
}
