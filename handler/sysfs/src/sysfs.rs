//! One look at the machine: finds devices, and keeps what was read of them.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use crate::Device;
use crate::path::{is_name, joined, name};
use crate::tree::Tree;

/// Bytes of a file that is read: many times a page, which is what sysfs writes at most but for binary attributes.
const FILE_BYTES: usize = 64 * 1024;
/// Links on the way to one attribute. More of them are a loop.
const LINKS: usize = 8;
/// udev's records, below its directory.
const RECORDS: &str = "data";
/// udev's index of tags, below its directory: a folder for each tag, with an empty file for each device.
const TAGS: &str = "tags";

/// Where the two trees are.
#[derive(Debug, Clone)]
pub struct Places {
    /// sysfs, usually `/sys`.
    pub sys: PathBuf,
    /// udev's directory, usually `/run/udev`. That it is missing is no error.
    pub udev: PathBuf,
}

/// Which of several names are asked for.
#[derive(Clone, Copy)]
pub enum Wanted<'a> {
    /// Just these. Cheaper than a test: nothing has to be listed.
    These(&'a [&'a str]),
    /// Those that pass the test.
    Passing(&'a dyn Fn(&str) -> bool),
}

/// Something that was passed over.
#[derive(Debug)]
pub struct Skipped<'a> {
    /// What, below the root of its tree.
    pub path: &'a str,
    /// Why.
    pub error: &'a io::Error,
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Link,
    Other,
}

/// One look at the machine.
#[derive(Clone)]
pub struct Sysfs(pub(crate) Rc<Look>);

/// What a look has read so far.
pub(crate) struct Look {
    sys: Tree,
    udev: Option<Tree>,
    /// The names of udev's records: most devices have none, and asking for each would be a call each.
    records: OnceCell<BTreeSet<String>>,
    /// The folders of devices, by subsystem.
    folders: OnceCell<Vec<(String, String)>>,
    /// The names of devices in a folder that was listed.
    listed: RefCell<BTreeMap<String, Rc<[String]>>>,
    /// Where the entries lead that were asked for.
    links: RefCell<BTreeMap<String, Option<String>>>,
    devices: RefCell<BTreeMap<String, Device>>,
    skipped: Box<dyn Fn(Skipped<'_>)>,
}

impl fmt::Display for Skipped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "passed over {}: {}", self.path.escape_debug(), self.error)
    }
}

impl fmt::Debug for Sysfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sysfs").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

impl Wanted<'_> {
    fn wants(self, name: &str) -> bool {
        match self {
            Wanted::These(names) => names.contains(&name),
            Wanted::Passing(test) => test(name),
        }
    }
}

impl Sysfs {
    /// Begins a look. `skipped` hears of what is passed over.
    ///
    /// # Errors
    /// Where there is no sysfs.
    pub fn open(places: &Places, skipped: impl Fn(Skipped<'_>) + 'static) -> io::Result<Self> {
        let look = Look {
            sys: Tree::open(&places.sys)?,
            udev: Tree::open(&places.udev).ok(),
            records: OnceCell::new(),
            folders: OnceCell::new(),
            listed: RefCell::default(),
            links: RefCell::default(),
            devices: RefCell::default(),
            skipped: Box::new(skipped),
        };
        Ok(Self(Rc::new(look)))
    }

    /// Whether udev's database can be read.
    pub fn has_records(&self) -> bool {
        self.0.udev.as_ref().is_some_and(|udev| udev.exists(RECORDS))
    }

    /// How many calls of the system, or of the wasm engine, this look made so far.
    pub fn calls(&self) -> u64 {
        self.0.sys.calls() + self.0.udev.as_ref().map_or(0, Tree::calls)
    }

    /// The devices of these subsystems and names, each once, ordered by path. Names are those of directory entries, where
    /// `!` stands for `/`.
    pub fn devices(&self, subsystems: Wanted<'_>, names: Wanted<'_>) -> Vec<Device> {
        let mut found = BTreeMap::new();
        let mut take = |subsystem: &str, folder: &str, name: &str| {
            if let Some(device) = self.linked(folder, name) {
                device.is_of(subsystem);
                found.insert(device.devpath().to_owned(), device);
            }
        };
        for (subsystem, folder) in self.folders_of(subsystems) {
            match names {
                Wanted::These(names) => {
                    for name in names.iter().filter(|name| is_name(name)) {
                        take(&subsystem, &folder, name);
                    }
                }
                Wanted::Passing(test) => {
                    for name in self.names(&folder).iter().filter(|name| test(name)) {
                        take(&subsystem, &folder, name);
                    }
                }
            }
        }
        found.into_values().collect()
    }

    /// The devices that ever had this tag, ordered by path.
    pub fn tagged(&self, tag: &str) -> Vec<Device> {
        let mut found = BTreeMap::new();
        if let (Some(udev), true) = (&self.0.udev, is_name(tag)) {
            let folder = format!("{TAGS}/{tag}");
            for id in self.0.heard(&folder, list(udev, &folder, |_| true)).unwrap_or_default() {
                if let Some(device) = self.by_id(&id) {
                    found.insert(device.devpath().to_owned(), device);
                }
            }
        }
        found.into_values().collect()
    }

    /// The device at this path, as `DEVPATH` gives it; `None` where there is none.
    pub fn at(&self, devpath: &str) -> Option<Device> {
        let path = joined("", devpath.strip_prefix('/')?)?;
        if format!("/{path}") != devpath || !path.starts_with("devices/") {
            return None;
        }
        let device = self.device(&path);
        device.exists().then_some(device)
    }

    /// The device that udev's database calls so: by number, by index of a network interface, or by subsystem and name.
    fn by_id(&self, id: &str) -> Option<Device> {
        let (kind, rest) = id.split_at_checked(1).filter(|(_, rest)| is_name(rest))?;
        match kind {
            "b" => self.linked("dev/block", rest),
            "c" => self.linked("dev/char", rest),
            "n" => {
                let all = self.devices(Wanted::These(&["net"]), Wanted::Passing(&|_| true));
                all.into_iter().find(|device| device.property("IFINDEX").as_deref() == Some(rest))
            }
            "+" => {
                let (subsystem, name) = rest.split_once(':')?;
                self.devices(Wanted::These(&[subsystem]), Wanted::These(&[name])).into_iter().next()
            }
            _ => None,
        }
    }

    /// The device that an entry of a folder links to.
    fn linked(&self, folder: &str, name: &str) -> Option<Device> {
        let entry = format!("{folder}/{name}");
        if let Some(path) = self.0.links.borrow().get(&entry) {
            return path.as_ref().map(|path| self.device(path));
        }
        let target = self.0.heard(&entry, self.0.sys.link(&entry));
        let path =
            target.and_then(|target| joined(folder, &target)).filter(|path| path.starts_with("devices/"));
        let device = path.as_ref().map(|path| self.device(path));
        self.0.links.borrow_mut().insert(entry, path);
        device
    }

    pub(crate) fn device(&self, path: &str) -> Device {
        let mut devices = self.0.devices.borrow_mut();
        if let Some(device) = devices.get(path) {
            return device.clone();
        }
        let device = Device::new(self, path);
        devices.insert(path.to_owned(), device.clone());
        device
    }

    /// The folders that hold devices, with their subsystems.
    fn folders_of(&self, wanted: Wanted<'_>) -> Vec<(String, String)> {
        let pair = |subsystem: &str, folder: String| (subsystem.to_owned(), folder);
        match wanted {
            Wanted::These(names) => {
                let names = names.iter().copied().filter(|name| is_name(name));
                names.flat_map(|name| [pair(name, bus(name)), pair(name, class(name))]).collect()
            }
            test => {
                let all = self.0.folders.get_or_init(|| self.all_folders());
                all.iter().filter(|(subsystem, _)| test.wants(subsystem)).cloned().collect()
            }
        }
    }

    fn all_folders(&self) -> Vec<(String, String)> {
        let names = |folder: &str| {
            let listed = list(&self.0.sys, folder, |kind| kind != Kind::Other);
            self.0.heard(folder, listed).unwrap_or_default().into_iter()
        };
        let buses = names("bus").map(|name| (bus(&name), name));
        let classes = names("class").map(|name| (class(&name), name));
        buses.chain(classes).map(|(folder, name)| (name, folder)).collect()
    }

    /// The names of the devices in a folder, listed once.
    fn names(&self, folder: &str) -> Rc<[String]> {
        if let Some(names) = self.0.listed.borrow().get(folder) {
            return names.clone();
        }
        // Devices are links there; what else there is are the subsystem's own files.
        let listed = list(&self.0.sys, folder, |kind| kind == Kind::Link);
        let names: Rc<[String]> = self.0.heard(folder, listed).unwrap_or_default().into();
        self.0.listed.borrow_mut().insert(folder.to_owned(), names.clone());
        names
    }
}

impl Look {
    /// A text file of sysfs, as it is.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.heard(path, self.sys.read(path, FILE_BYTES))?;
        let text = String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into());
        self.heard(path, text)
    }

    /// The last part of where a link of sysfs leads.
    pub(crate) fn link_name(&self, path: &str) -> Option<String> {
        let target = self.heard(path, self.sys.link(path))?;
        Some(name(&target).to_owned()).filter(|name| is_name(name))
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
            let inner = format!("{path}/{part}");
            path = match parts.peek().and_then(|_| self.sys.link(&inner).ok()) {
                None => inner,
                Some(target) => {
                    links += 1;
                    joined(&path, &target).filter(|_| links <= LINKS)?
                }
            };
        }
        Some(path)
    }

    /// udev's record of that name.
    pub(crate) fn record(&self, id: &str) -> Option<String> {
        let udev = self.udev.as_ref()?;
        let there = self.records.get_or_init(|| {
            let mut names = BTreeSet::new();
            for name in self.heard(RECORDS, list(udev, RECORDS, |_| true)).unwrap_or_default() {
                names.insert(name);
            }
            names
        });
        if !there.contains(id) {
            return None;
        }
        let path = format!("{RECORDS}/{id}");
        let bytes = self.heard(&path, udev.read(&path, FILE_BYTES))?;
        self.heard(&path, String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into()))
    }

    /// A result, or `None` after its error was told. That something is not there is the usual thing, and not told.
    fn heard<T>(&self, path: &str, result: io::Result<T>) -> Option<T> {
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
fn list(tree: &Tree, folder: &str, wanted: impl Fn(Kind) -> bool) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    tree.entries(folder, &mut |name, kind| {
        if wanted(kind) && !name.starts_with('.') {
            names.push(name.to_owned());
        }
    })?;
    Ok(names)
}

fn bus(subsystem: &str) -> String {
    format!("bus/{subsystem}/devices")
}

fn class(subsystem: &str) -> String {
    format!("class/{subsystem}")
}
