//! Layers, one over the other, into a folder. A layer is a stranger's: what it holds is counted, no member leaves the
//! folder or goes through a link, and what is neither file, folder nor a link within is left out.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tar::{EntryType, Header};

use super::RunError;
use crate::inspect::tar_index::{BLOCK, MAX_EXTENSION, checksum_is_right, is_extension, pax_records};
use crate::inspect::unpack::Compression;

/// Most bytes of all files of an image: it goes to the temporary folder, which may be memory.
const MAX_BYTES: u64 = 2 << 30;
/// Most members of all layers.
const MAX_MEMBERS: u64 = 65_536;
/// Longest path of a member.
const MAX_PATH: usize = 1024;
/// Most folders within one another.
const MAX_DEPTH: usize = 64;
/// Most members that are named as left out.
const MAX_NOTES: usize = 8;
/// Begins the name of a member that takes away what a lower layer put there.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts>
const WHITEOUT: &str = ".wh.";
/// Takes away all that lower layers put into its folder. Same source.
const OPAQUE: &str = ".wh..wh..opq";

/// The folder that is filled, and what may still go into it.
pub(super) struct Unpacker {
    root: PathBuf,
    bytes_left: u64,
    members_left: u64,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// A member's header, with what extended headers said about it.
struct Member {
    kind: EntryType,
    mode: u32,
    path: String,
    link: String,
    size: u64,
}

/// What extended headers say about the member after them.
#[derive(Default)]
struct Extension {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

impl Unpacker {
    /// Into `root`, which nobody else touches.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, bytes_left: MAX_BYTES, members_left: MAX_MEMBERS, notes: Vec::new() }
    }

    /// One layer over what is there.
    pub(super) fn layer(&mut self, input: impl Read, how: Compression) -> Result<(), RunError> {
        let input = io::BufReader::with_capacity(64 * 1024, input);
        match how {
            Compression::None => self.members(input),
            Compression::Gzip => self.members(MultiGzDecoder::new(input)),
        }
    }

    fn members(&mut self, mut input: impl Read) -> Result<(), RunError> {
        let mut extension = Extension::default();
        loop {
            let mut block = [0; BLOCK as usize];
            if !read_block(&mut input, &mut block)? || block == [0; BLOCK as usize] {
                return Ok(());
            }
            let header = Header::from_byte_slice(&block);
            let size = header.entry_size().ok().filter(|_| checksum_is_right(&block));
            let size = size.ok_or_else(|| broken("a header is damaged"))?;
            let kind = header.entry_type();
            if is_extension(kind) {
                extend(&mut extension, kind, &mut input, size)?;
                continue;
            }
            let Extension { path, link, size: longer } = std::mem::take(&mut extension);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let member = Member {
                kind,
                mode: header.mode().unwrap_or(0) & 0o777,
                path: path.unwrap_or_else(|| text(&header.path_bytes())),
                link: link.unwrap_or_else(|| text(&header.link_name_bytes().unwrap_or_default())),
                size: longer.unwrap_or(size),
            };
            let mut content = (&mut input).take(member.size);
            self.member(&member, &mut content)?;
            io::copy(&mut content, &mut io::sink()).map_err(reading)?;
            let padding = member.size.next_multiple_of(BLOCK) - member.size;
            io::copy(&mut (&mut input).take(padding), &mut io::sink()).map_err(reading)?;
        }
    }

    fn member(&mut self, member: &Member, content: &mut impl Read) -> Result<(), RunError> {
        self.members_left =
            self.members_left.checked_sub(1).ok_or_else(|| too_much("members", MAX_MEMBERS))?;
        let Some(path) = clean(&member.path)? else {
            return Ok(());
        };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            let folder = path.parent().unwrap_or(Path::new(""));
            return if name == OPAQUE { self.empty(folder) } else { self.remove(&folder.join(hidden)) };
        }
        let target = self.place(&path)?;
        let cannot = || RunError::io(format!("unpack {}", shown(&member.path)));
        match member.kind {
            EntryType::Directory => self.folder(&target, member.mode).map_err(cannot()),
            EntryType::Regular | EntryType::Continuous => {
                self.bytes_left =
                    self.bytes_left.checked_sub(member.size).ok_or_else(|| too_much("bytes", MAX_BYTES))?;
                remove(&target).map_err(cannot())?;
                let mode = member.mode | 0o600;
                let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&target);
                let count = file.as_mut().map(|file| io::copy(content, file)).map_err(|error| {
                    RunError::io(format!("unpack {}", shown(&member.path)))(io::Error::from(error.kind()))
                })?;
                if count.map_err(cannot())? < member.size { Err(broken("it is cut off")) } else { Ok(()) }
            }
            EntryType::Symlink if stays_within(&path, &member.link) => {
                remove(&target).and_then(|()| symlink(&member.link, &target)).map_err(cannot())
            }
            EntryType::Symlink => {
                self.leave_out(&member.path, &format!("a link out of the image, to {}", shown(&member.link)));
                Ok(())
            }
            EntryType::Link => self.hard_link(member, &target),
            EntryType::Char | EntryType::Block => {
                self.leave_out(&member.path, "a device");
                Ok(())
            }
            _ => {
                self.leave_out(&member.path, "neither file, folder nor link");
                Ok(())
            }
        }
    }

    /// Where a member goes. Its folders are made if they are not there; none of them is a link.
    pub(super) fn place(&self, path: &Path) -> Result<PathBuf, RunError> {
        let mut place = self.root.clone();
        let folders = path.parent().map(Path::components).into_iter().flatten();
        for (depth, folder) in folders.enumerate() {
            place.push(folder);
            match place.symlink_metadata() {
                _ if depth >= MAX_DEPTH => {
                    return Err(too_much("folders within one another", MAX_DEPTH as u64));
                }
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(broken(&format!("{} goes through a link or file", shown_path(path)))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir(&place).map_err(RunError::io(format!("make {}", place.display())))?;
                }
                Err(error) => return Err(RunError::io(format!("look at {}", place.display()))(error)),
            }
        }
        place.extend(path.file_name());
        Ok(place)
    }

    fn folder(&self, target: &Path, mode: u32) -> io::Result<()> {
        if !target.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            remove(target)?;
            fs::create_dir(target)?;
        }
        // We have to get in ourselves, to fill and to remove it.
        fs::set_permissions(target, Permissions::from_mode(mode | 0o700))
    }

    /// A second name of a file that is there: never of anything else, for a link could lead anywhere.
    fn hard_link(&mut self, member: &Member, target: &Path) -> Result<(), RunError> {
        let original = clean(&member.link)?.map(|path| self.place(&path)).transpose()?;
        match original.filter(|path| path.symlink_metadata().is_ok_and(|found| found.is_file())) {
            Some(original) if original == target => Ok(()),
            Some(original) => remove(target)
                .and_then(|()| fs::hard_link(original, target))
                .map_err(RunError::io(format!("unpack {}", shown(&member.path)))),
            None => {
                self.leave_out(&member.path, "a hard link to what is no file of the image");
                Ok(())
            }
        }
    }

    fn remove(&self, path: &Path) -> Result<(), RunError> {
        if path.file_name().is_none() {
            return Ok(());
        }
        let target = self.place(path)?;
        remove(&target).map_err(RunError::io(format!("remove {}", target.display())))
    }

    /// Empties a folder of what lower layers put there; this layer's own members may be among them, if they came
    /// first, which image-spec advises against.
    fn empty(&self, path: &Path) -> Result<(), RunError> {
        let folder = if path.as_os_str().is_empty() { self.root.clone() } else { self.place(path)? };
        let cannot = || RunError::io(format!("empty {}", folder.display()));
        match folder.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            _ => return Ok(()),
        }
        for entry in fs::read_dir(&folder).map_err(cannot())? {
            remove(&entry.map_err(cannot())?.path()).map_err(cannot())?;
        }
        Ok(())
    }

    fn leave_out(&mut self, path: &str, why: &str) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(format!("left out of the image's root: {}, {why}", shown(path)));
        }
    }
}

/// The path of a member beneath the root; `None` for the root itself.
fn clean(path: &str) -> Result<Option<PathBuf>, RunError> {
    if path.len() > MAX_PATH || path.contains('\0') {
        return Err(broken("a path is longer than it may be, or holds a NUL"));
    }
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(broken(&format!("{} leads out of it", shown(path))));
            }
        }
    }
    Ok(Some(clean).filter(|path| !path.as_os_str().is_empty()))
}

/// Whether a link at `path` leads to a place beneath the root, whatever else is a link on the way.
fn stays_within(path: &Path, link: &str) -> bool {
    if link.is_empty() || link.len() > MAX_PATH || link.contains('\0') {
        return false;
    }
    let mut depth = path.components().count().saturating_sub(1);
    for component in Path::new(link).components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

/// Whatever is there, without following it.
fn remove(target: &Path) -> io::Result<()> {
    match target.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(target),
        Ok(_) => fs::remove_file(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn extend(
    extension: &mut Extension,
    kind: EntryType,
    input: &mut impl Read,
    size: u64,
) -> Result<(), RunError> {
    let damaged = || broken("an extended header is damaged");
    if size > MAX_EXTENSION {
        return Err(damaged());
    }
    let mut bytes = Vec::new();
    input.take(size.next_multiple_of(BLOCK)).read_to_end(&mut bytes).map_err(reading)?;
    bytes.truncate(usize::try_from(size).map_err(|_| damaged())?);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let until_nul = |bytes: &[u8]| text(bytes.split(|byte| *byte == 0).next().unwrap_or_default());
    if kind.is_gnu_longname() {
        extension.path = Some(until_nul(&bytes));
    } else if kind.is_gnu_longlink() {
        extension.link = Some(until_nul(&bytes));
    } else if kind.is_pax_local_extensions() {
        for (key, value) in pax_records(&bytes).ok_or_else(damaged)? {
            match key {
                b"path" => extension.path = Some(text(value)),
                b"linkpath" => extension.link = Some(text(value)),
                b"size" => extension.size = Some(text(value).parse().map_err(|_| damaged())?),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The next block; false at the end. A missing end mark is common, and harms no one.
fn read_block(input: &mut impl Read, block: &mut [u8]) -> Result<bool, RunError> {
    let mut start = Vec::with_capacity(block.len());
    input.take(BLOCK).read_to_end(&mut start).map_err(reading)?;
    if start.len() == block.len() {
        block.copy_from_slice(&start);
    }
    match start.len() {
        0 => Ok(false),
        length if length == block.len() => Ok(true),
        _ => Err(broken("it is cut off")),
    }
}

/// A whole file, where it is the image.
pub(super) fn copy(from: &mut File, to: &Path) -> io::Result<()> {
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o644).open(to)?;
    io::copy(from, &mut to).map(drop)
}

fn reading(source: io::Error) -> RunError {
    RunError::io("read a layer")(source)
}

fn broken(what: &str) -> RunError {
    RunError::Layer(what.to_owned())
}

fn too_much(what: &str, limit: u64) -> RunError {
    RunError::Layer(format!("it holds more than {limit} {what}"))
}

fn shown(text: &str) -> String {
    text.chars().take(160).collect::<String>().escape_debug().to_string()
}

fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_stay_and_links_that_leave() {
        for (path, link, stays) in [
            ("a", "b", true),
            ("a/b", "../c", true),
            ("a/b/c", "../../d/./e", true),
            ("a", "..", false),
            ("a/b", "../../c", false),
            ("a/b", "x/../../../c", false),
            ("a", "/etc/passwd", false),
            ("a", "", false),
        ] {
            assert_eq!(stays_within(Path::new(path), link), stays, "{path} -> {link}");
        }
    }

    #[test]
    fn paths_that_leave_are_refused() {
        for path in ["../x", "a/../../x", "/../x", "a\0b"] {
            assert!(clean(path).is_err(), "{path:?}");
        }
        assert_eq!(clean("/a//./b").unwrap(), Some("a/b".into()));
        assert_eq!(clean("./").unwrap(), None);
    }
}
