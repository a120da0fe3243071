//! One look at the machine: finds devices.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use crate::Device;
use crate::compare::{begins, order};
use crate::look::{Kind, Look, RECORDS, list};
use crate::memo::{Keyed, Memo};
use crate::names::Names;
use crate::path::{is_name, joined, parent, with};
use crate::tree::Tree;

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

/// One look at the machine.
#[derive(Clone)]
pub struct Sysfs(pub(crate) Rc<Look>);

/// A folder that holds a subsystem's devices.
pub(crate) struct Folder {
    path: String,
    subsystem: Rc<str>,
    listed: OnceCell<Listing>,
}

/// The names of the devices in a folder, and where each leads once it was asked for.
struct Listing {
    names: Names,
    devices: Vec<OnceCell<Option<Device>>>,
}

/// An entry, and where it leads.
pub(crate) struct Entry {
    path: String,
    device: Option<Device>,
}

impl Keyed for Rc<Folder> {
    fn key(&self) -> &str {
        &self.path
    }
}

impl Keyed for Rc<Entry> {
    fn key(&self) -> &str {
        &self.path
    }
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
            all: OnceCell::new(),
            folders: Memo::default(),
            entries: Memo::default(),
            devices: Memo::default(),
            skipped: Box::new(skipped),
        };
        Ok(Self(Rc::new(look)))
    }

    /// Whether udev's database can be read.
    pub fn has_records(&self) -> bool {
        let listed = self.0.records.get().is_some_and(Option::is_some);
        listed || self.0.udev.as_ref().is_some_and(|udev| udev.exists(RECORDS))
    }

    /// How many calls of the system, or of the wasm engine, this look made so far.
    pub fn calls(&self) -> u64 {
        self.0.sys.calls() + self.0.udev.as_ref().map_or(0, Tree::calls)
    }

    /// The devices of these subsystems and names, each once, ordered by path. Names are those of directory entries, where
    /// `!` stands for `/`.
    pub fn devices(&self, subsystems: Wanted<'_>, names: Wanted<'_>) -> Vec<Device> {
        let mut found = Vec::new();
        let mut each = |folder: &Folder| {
            let mut take = |device: &Option<Device>| {
                if let Some(device) = device {
                    device.is_of(&folder.subsystem);
                    found.push(device.clone());
                }
            };
            match names {
                Wanted::These(names) => {
                    for name in names.iter().filter(|name| is_name(name)) {
                        take(&self.linked(&folder.path, name));
                    }
                }
                Wanted::Passing(test) => {
                    let listing = folder.listed.get_or_init(|| self.listing(&folder.path));
                    for (name, device) in
                        listing.names.iter().zip(&listing.devices).filter(|(name, _)| test(name))
                    {
                        take(device.get_or_init(|| self.leads(&with(&folder.path, name), folder.path.len())));
                    }
                }
            }
        };
        match subsystems {
            Wanted::These(subsystems) => {
                for subsystem in subsystems.iter().filter(|subsystem| is_name(subsystem)) {
                    each(&self.folder(bus(subsystem), subsystem));
                    each(&self.folder(class(subsystem), subsystem));
                }
            }
            Wanted::Passing(test) => {
                let all = self.0.all.get_or_init(|| self.all_folders());
                all.iter().filter(|folder| test(&folder.subsystem)).for_each(|folder| each(folder));
            }
        }
        ordered(found)
    }

    /// The devices that ever had this tag, ordered by path.
    pub fn tagged(&self, tag: &str) -> Vec<Device> {
        let mut found = Vec::new();
        if let (Some(udev), true) = (&self.0.udev, is_name(tag)) {
            let folder = with(TAGS, tag);
            let ids = self.0.heard(&folder, list(udev, &folder, |_| true)).unwrap_or_default();
            found.extend(ids.iter().filter_map(|id| self.by_id(id)));
        }
        ordered(found)
    }

    /// The device at this path, as `DEVPATH` gives it; `None` where there is none.
    pub fn at(&self, devpath: &str) -> Option<Device> {
        let path = joined("", devpath.strip_prefix('/')?)?;
        if devpath.strip_prefix('/') != Some(&*path) || !is_device(&path) {
            return None;
        }
        let device = self.device(devpath);
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
        // Neighbours of the folder are asked for the same name, and others in it are not.
        let near = parent(folder).map_or(0, str::len);
        let find = |path: String| {
            let device = self.leads(&path, near);
            Rc::new(Entry { path, device })
        };
        self.0.entries.get(with(folder, name), find).device.clone()
    }

    /// The device that an entry links to, read from the folder that the first `near` bytes of its path are.
    fn leads(&self, entry: &str, near: usize) -> Option<Device> {
        let to = |target: &str| joined(parent(entry).unwrap_or_default(), target);
        let mut path =
            self.0.heard(entry, self.0.sys.link(entry, near, to))?.filter(|path| is_device(path))?;
        path.insert(0, '/');
        Some(self.device(path))
    }

    /// The device at a path, whether there is one or not.
    pub(crate) fn device(&self, devpath: impl AsRef<str> + Into<String>) -> Device {
        self.0.devices.get(devpath, |devpath| Device::new(self, devpath))
    }

    fn folder(&self, path: String, subsystem: &str) -> Rc<Folder> {
        let folder = |path| Folder { path, subsystem: subsystem.into(), listed: OnceCell::new() };
        self.0.folders.get(path, |path| Rc::new(folder(path)))
    }

    fn all_folders(&self) -> Vec<Rc<Folder>> {
        let names = |folder: &str| {
            let listed = list(&self.0.sys, folder, |kind| kind != Kind::Other);
            self.0.heard(folder, listed).unwrap_or_default()
        };
        let (buses, classes) = (names("bus"), names("class"));
        let buses = buses.iter().map(|name| self.folder(bus(name), name));
        buses.chain(classes.iter().map(|name| self.folder(class(name), name))).collect()
    }

    /// What is in a folder.
    fn listing(&self, folder: &str) -> Listing {
        // Devices are links there; what else there is are the subsystem's own files.
        let listed = list(&self.0.sys, folder, |kind| kind == Kind::Link);
        let names = self.0.heard(folder, listed).unwrap_or_default();
        let devices = (0..names.len()).map(|_| OnceCell::new()).collect();
        Listing { names, devices }
    }
}

/// Devices ordered by path, each once.
pub fn ordered(devices: Vec<Device>) -> Vec<Device> {
    let mut devices = sorted(devices);
    // A path is one device of a look.
    devices.dedup_by(|a, b| a.is(b));
    devices
}

/// Sorts by merging, what is in order already at once. (std's sort is five kilobytes of a guest.)
fn sorted(mut devices: Vec<Device>) -> Vec<Device> {
    let is_less = |a: &Device, b: &Device| order(a.devpath(), b.devpath()).is_lt();
    if devices.windows(2).all(|pair| !is_less(&pair[1], &pair[0])) {
        return devices;
    }
    let behind = devices.split_off(devices.len() / 2);
    let mut all = Vec::with_capacity(devices.len() + behind.len());
    let (mut one, mut other) =
        (sorted(devices).into_iter().peekable(), sorted(behind).into_iter().peekable());
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        all.extend(if is_less(b, a) { other.next() } else { one.next() });
    }
    all.extend(one);
    all.extend(other);
    all
}

fn is_device(path: &str) -> bool {
    begins(path, "devices/")
}

fn bus(subsystem: &str) -> String {
    ["bus/", subsystem, "/devices"].concat()
}

fn class(subsystem: &str) -> String {
    with("class", subsystem)
}
