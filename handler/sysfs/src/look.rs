//! What a look keeps, and how it reads files, links and records.

use std::cell::OnceCell;
use std::io;
use std::rc::Rc;

use crate::memo::Memo;
use crate::names::{NameSet, Names};
use crate::path::{is_name, joined, name, parent, with};
use crate::sysfs::{Entry, Folder};
use crate::tree::Tree;
use crate::{Device, Skipped};

/// Bytes of a file that is read: many times a page, which is what sysfs writes at most but for binary attributes.
const FILE_BYTES: usize = 64 * 1024;
/// Links on the way to one attribute. More of them are a loop.
const LINKS: usize = 8;
/// udev's records, below its directory.
pub(crate) const RECORDS: &str = "data";
/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Link,
    Other,
}

/// What a look has read so far.
pub(crate) struct Look {
    pub(crate) sys: Tree,
    pub(crate) udev: Option<Tree>,
    /// The names of udev's records: most devices have none, and asking for each would be a call each. `None` where they
    /// cannot be listed.
    pub(crate) records: OnceCell<Option<NameSet>>,
    /// All folders of devices.
    pub(crate) all: OnceCell<Vec<Rc<Folder>>>,
    /// Those that were asked for.
    pub(crate) folders: Memo<Rc<Folder>>,
    /// Single entries that were asked for.
    pub(crate) entries: Memo<Rc<Entry>>,
    pub(crate) devices: Memo<Device>,
    pub(crate) skipped: Box<dyn Fn(Skipped<'_>)>,
}

impl Look {
    /// A text file of sysfs, as it is.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.heard(path, self.sys.read(path, near(path), FILE_BYTES).and_then(text))
    }

    /// The last part of where a link of sysfs leads.
    pub(crate) fn link_name(&self, path: &str) -> Option<String> {
        let to = |target: &str| Some(name(target)).filter(|name| is_name(name)).map(str::to_owned);
        self.heard(path, self.sys.link(path, near(path), to))?
    }

    /// The path of a file below a device, whose directories may be links: `device/vendor` is below a disk.
    pub(crate) fn resolved(&self, device: &str, key: &str) -> Option<String> {
        let mut path = device.to_owned();
        let mut links = 0;
        let mut parts = key.split('/').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            if !is_name(part) {
                return None;
            }
            let inner = with(&path, part);
            let to = |target: &str| joined(&path, target);
            let followed = parts.peek().and_then(|_| self.sys.link(&inner, near(&inner), to).ok());
            path = match followed {
                None => inner,
                Some(followed) => {
                    links += 1;
                    followed.filter(|_| links <= LINKS)?
                }
            };
        }
        Some(path)
    }

    /// udev's record of that name.
    pub(crate) fn record(&self, id: &str) -> Option<String> {
        let udev = self.udev.as_ref()?;
        let list = || self.heard(RECORDS, list(udev, RECORDS, |_| true)).map(NameSet::from);
        if !self.records.get_or_init(list).as_ref()?.has(id) {
            return None;
        }
        let path = with(RECORDS, id);
        self.heard(&path, udev.read(&path, RECORDS.len(), FILE_BYTES).and_then(text))
    }

    /// A result, or `None` after its error was told. That something is not there is the usual thing, and not told.
    pub(crate) fn heard<T>(&self, path: &str, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    (self.skipped)(Skipped { path, error: &error });
                }
                None
            }
        }
    }
}

/// The names in a folder but for hidden ones.
pub(crate) fn list(tree: &Tree, folder: &str, wanted: impl Fn(Kind) -> bool) -> io::Result<Names> {
    let mut names = Names::default();
    tree.entries(folder, &mut |name, kind| {
        if wanted(kind) && !name.starts_with('.') {
            names.push(name);
        }
    })?;
    Ok(names)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// How much of the path of a device's file is the folder that its neighbours share: all but the last two parts.
fn near(path: &str) -> usize {
    parent(path).and_then(parent).map_or(0, str::len)
}
