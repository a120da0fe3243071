//! One device, and what can be asked of it. Each answer is read when it is first asked for.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use crate::path::{name, parent};
use crate::record::Record;
use crate::sysfs::{Look, Sysfs};

/// The kernel's description of a device, in its directory.
const UEVENT: &str = "uevent";
/// The links whose last part is their value. The value of any other link is unknown to udev, too.
const LINKS: [&str; 3] = ["driver", "subsystem", "module"];
/// Where the root of all devices is. It is none itself.
const ROOT: &str = "devices";
/// Where device nodes are.
const DEV: &str = "/dev/";

/// A device. Good for as long as the [`Sysfs`] that it is from.
#[derive(Clone)]
pub struct Device(Rc<Facts>);

struct Facts {
    look: Weak<Look>,
    /// Below the root, without the slash before it.
    devpath: String,
    name: String,
    uevent: OnceCell<Option<String>>,
    subsystem: OnceCell<Option<String>>,
    driver: OnceCell<Option<String>>,
    record: OnceCell<Record>,
    attributes: RefCell<Vec<(String, Option<Rc<str>>)>>,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Device").field(&self.devpath()).finish()
    }
}

impl Device {
    pub(crate) fn new(sysfs: &Sysfs, path: &str) -> Self {
        Self(Rc::new(Facts {
            look: Rc::downgrade(&sysfs.0),
            devpath: format!("/{path}"),
            name: name(path).replace('!', "/"),
            uevent: OnceCell::new(),
            subsystem: OnceCell::new(),
            driver: OnceCell::new(),
            record: OnceCell::new(),
            attributes: RefCell::default(),
        }))
    }

    /// Its path below sysfs, with a slash before it: what tells it from all others.
    pub fn devpath(&self) -> &str {
        &self.0.devpath
    }

    /// The kernel's name for it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The subsystem: where it was found, so that nothing has to be read for it.
    pub(crate) fn is_of(&self, subsystem: &str) {
        let _ = self.0.subsystem.set(Some(subsystem.to_owned()));
    }

    /// The subsystem that it belongs to.
    pub fn subsystem(&self) -> Option<&str> {
        self.0.subsystem.get_or_init(|| self.link("subsystem")).as_deref()
    }

    /// The driver that is bound to it.
    pub fn driver(&self) -> Option<&str> {
        self.0.driver.get_or_init(|| self.link("driver")).as_deref()
    }

    /// A file in its directory, or below, without the line's end; `None` where it cannot be read as text.
    pub fn attribute(&self, key: &str) -> Option<Rc<str>> {
        if let Some((_, value)) = self.0.attributes.borrow().iter().find(|(other, _)| other == key) {
            return value.clone();
        }
        let value = self.read_attribute(key).map(Rc::from);
        self.0.attributes.borrow_mut().push((key.to_owned(), value.clone()));
        value
    }

    /// A property: of udev's database, or else of the kernel.
    pub fn property(&self, key: &str) -> Option<String> {
        // All but the first few have to be looked for among all, for the database's word counts more than the kernel's.
        match key {
            "DEVPATH" => Some(self.devpath().to_owned()),
            "SUBSYSTEM" => self.subsystem().map(str::to_owned),
            "DEVNAME" => self.node(),
            _ => self.properties().into_iter().find(|(name, _)| name == key).map(|(_, value)| value),
        }
    }

    /// All properties, each name once.
    pub fn properties(&self) -> Vec<(String, String)> {
        let record = self.record();
        let mut all: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: String| match all.iter_mut().find(|(other, _)| other == name) {
            Some((_, there)) => *there = value,
            None => all.push((name.to_owned(), value)),
        };
        add("DEVPATH", self.devpath().to_owned());
        if let Some(subsystem) = self.subsystem() {
            add("SUBSYSTEM", subsystem.to_owned());
        }
        for (name, value) in self.kernel_properties() {
            add(name, if name == "DEVNAME" { node(value) } else { value.to_owned() });
        }
        for (name, value) in &record.properties {
            add(name, value.clone());
        }
        if let Some(microseconds) = &record.initialized {
            add("USEC_INITIALIZED", microseconds.clone());
        }
        if !record.links.is_empty() {
            let links: Vec<String> = record.links.iter().map(|link| node(link)).collect();
            add("DEVLINKS", links.join(" "));
        }
        for (name, tags) in [("TAGS", &record.tags), ("CURRENT_TAGS", &record.current_tags)] {
            if !tags.is_empty() {
                add(name, format!(":{}:", tags.join(":")));
            }
        }
        all
    }

    /// Every tag that it ever had.
    pub fn tags(&self) -> &[String] {
        &self.record().tags
    }

    /// The path of its device node; `None` where it has none.
    pub fn node(&self) -> Option<String> {
        self.kernel_property("DEVNAME").map(node)
    }

    /// Whether the kernel still has it.
    pub fn exists(&self) -> bool {
        self.uevent().is_some()
    }

    /// The next device above it.
    pub fn parent(&self) -> Option<Self> {
        self.above().find(Self::exists)
    }

    /// Itself and the directories above it. Not all of those are devices: a hit has to ask [`Device::exists`]. Most do not
    /// hit, and are not read for that.
    pub fn lineage(&self) -> impl Iterator<Item = Self> {
        std::iter::once(self.clone()).chain(self.above())
    }

    fn above(&self) -> impl Iterator<Item = Self> {
        let look = self.0.look.upgrade();
        let mut path = self.path().to_owned();
        std::iter::from_fn(move || {
            let above = parent(&path).filter(|above| *above != ROOT)?.to_owned();
            path.clone_from(&above);
            Some(Sysfs(look.clone()?).device(&above))
        })
    }

    fn path(&self) -> &str {
        self.0.devpath.get(1..).unwrap_or_default()
    }

    fn look(&self) -> Option<Rc<Look>> {
        self.0.look.upgrade()
    }

    /// The last part of where a link in its directory leads.
    pub fn link(&self, name: &str) -> Option<String> {
        self.look()?.link_name(&format!("{}/{name}", self.path()))
    }

    fn uevent(&self) -> Option<&str> {
        let read = || self.look()?.text(&format!("{}/{UEVENT}", self.path()));
        self.0.uevent.get_or_init(read).as_deref()
    }

    /// The kernel's own properties. Without a value there is no property, for udev as well.
    fn kernel_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.uevent().unwrap_or_default().lines();
        lines
            .filter_map(|line| line.split_once('='))
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
    }

    fn kernel_property(&self, key: &str) -> Option<&str> {
        self.kernel_properties().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn read_attribute(&self, key: &str) -> Option<String> {
        if LINKS.contains(&key) {
            return self.link(key);
        }
        let look = self.look()?;
        let path = look.resolved(self.path(), key)?;
        let mut text = look.text(&path)?;
        // As a string of C ends, and as lines end.
        text.truncate(text.find('\0').unwrap_or(text.len()));
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        Some(text)
    }

    fn record(&self) -> &Record {
        self.0.record.get_or_init(|| {
            let read = || self.look()?.record(&self.id()?);
            read().map(|text| Record::parse(&text)).unwrap_or_default()
        })
    }

    /// What udev's database calls it.
    fn id(&self) -> Option<String> {
        if let (Some(major), Some(minor)) = (self.kernel_property("MAJOR"), self.kernel_property("MINOR")) {
            let kind = if self.subsystem() == Some("block") { 'b' } else { 'c' };
            return Some(format!("{kind}{major}:{minor}"));
        }
        if let Some(index) = self.kernel_property("IFINDEX") {
            return Some(format!("n{index}"));
        }
        Some(format!("+{}:{}", self.subsystem()?, name(self.path())))
    }
}

fn node(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("{DEV}{name}") }
}
