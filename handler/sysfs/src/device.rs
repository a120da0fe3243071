//! One device, and what can be asked of it. Each answer is read when it is first asked for.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use crate::compare::find;
use crate::look::Look;
use crate::memo::Keyed;
use crate::path::{name, parent, with};
use crate::record::{Record, lines, value};
use crate::sysfs::Sysfs;

/// The kernel's description of a device, in its directory.
const UEVENT: &str = "uevent";
/// The links whose last part is their value. The value of any other link is unknown to udev, too.
const LINKS: [&str; 3] = ["driver", "subsystem", "module"];
/// Where the root of all devices is. It is none itself.
const ROOT: &str = "/devices";
/// Where device nodes are.
const DEV: &str = "/dev/";

/// A device. Good for as long as the [`Sysfs`] that it is from.
#[derive(Clone)]
pub struct Device(Rc<Facts>);

struct Facts {
    look: Weak<Look>,
    /// Below the root, with a slash before it.
    devpath: String,
    /// Where it is not just the end of the path.
    name: Option<String>,
    uevent: OnceCell<Option<String>>,
    subsystem: OnceCell<Option<Rc<str>>>,
    driver: OnceCell<Option<String>>,
    record: OnceCell<Record>,
    attributes: RefCell<Vec<(String, Option<Rc<str>>)>>,
    above: OnceCell<Option<Device>>,
}

impl Keyed for Device {
    fn key(&self) -> &str {
        self.devpath()
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Device").field(&self.devpath()).finish()
    }
}

impl Device {
    /// The device at a path with a slash before it.
    pub(crate) fn new(sysfs: &Sysfs, devpath: String) -> Self {
        let name = name(&devpath);
        let name = find(name, b'!').map(|_| name.replace('!', "/"));
        Self(Rc::new(Facts {
            look: Rc::downgrade(&sysfs.0),
            devpath,
            name,
            uevent: OnceCell::new(),
            subsystem: OnceCell::new(),
            driver: OnceCell::new(),
            record: OnceCell::new(),
            attributes: RefCell::default(),
            above: OnceCell::new(),
        }))
    }

    /// Whether both are the same device of the same look.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Its path below sysfs, with a slash before it: what tells it from all others.
    pub fn devpath(&self) -> &str {
        &self.0.devpath
    }

    /// The kernel's name for it.
    pub fn name(&self) -> &str {
        self.0.name.as_deref().unwrap_or_else(|| name(&self.0.devpath))
    }

    /// The subsystem: where it was found, so that nothing has to be read for it.
    pub(crate) fn is_of(&self, subsystem: &Rc<str>) {
        self.0.subsystem.get_or_init(|| Some(subsystem.clone()));
    }

    /// The subsystem that it belongs to.
    pub fn subsystem(&self) -> Option<&str> {
        self.0.subsystem.get_or_init(|| self.link("subsystem").map(Rc::from)).as_deref()
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
    pub fn property(&self, key: &str) -> Option<Cow<'_, str>> {
        match key {
            "DEVPATH" => return Some(self.devpath().into()),
            "SUBSYSTEM" => return self.subsystem().map(Cow::from),
            "DEVNAME" => return self.node().map(Cow::from),
            _ => {}
        }
        let record = self.record();
        let said = match key {
            "USEC_INITIALIZED" => record.initialized().map(Cow::from),
            "DEVLINKS" => links(record).map(Cow::from),
            "TAGS" => tags(record.tags()).map(Cow::from),
            "CURRENT_TAGS" => tags(record.current_tags()).map(Cow::from),
            _ => None,
        };
        said.or_else(|| record.property(key).map(Cow::from))
            .or_else(|| self.kernel_values(key).last().map(Cow::from))
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
        let mut recorded: Vec<(&str, &str)> = Vec::new();
        for (name, value) in record.properties() {
            match value {
                "" => recorded.retain(|(other, _)| *other != name),
                value => recorded.push((name, value)),
            }
        }
        for (name, value) in recorded {
            add(name, value.to_owned());
        }
        if let Some(microseconds) = record.initialized() {
            add("USEC_INITIALIZED", microseconds.to_owned());
        }
        if let Some(links) = links(record) {
            add("DEVLINKS", links);
        }
        for (name, tags) in [("TAGS", tags(record.tags())), ("CURRENT_TAGS", tags(record.current_tags()))] {
            if let Some(tags) = tags {
                add(name, tags);
            }
        }
        all
    }

    /// Every tag that it ever had.
    pub fn tags(&self) -> Vec<&str> {
        self.record().tags().collect()
    }

    /// The path of its device node; `None` where it has none.
    pub fn node(&self) -> Option<String> {
        self.kernel_property("DEVNAME").map(node)
    }

    /// Whether it has one.
    pub fn has_node(&self) -> bool {
        self.kernel_property("DEVNAME").is_some()
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
        // Not `successors`, which is one ahead of what is asked for.
        let mut here = self.clone();
        std::iter::from_fn(move || {
            here = here.directory_above()?;
            Some(here.clone())
        })
    }

    /// What is in the directory above, device or not; `None` at the top.
    fn directory_above(&self) -> Option<Self> {
        let find = || {
            let above = parent(&self.0.devpath).filter(|above| *above != ROOT)?;
            Some(Sysfs(self.look()?).device(above))
        };
        self.0.above.get_or_init(find).clone()
    }

    fn path(&self) -> &str {
        self.0.devpath.get(1..).unwrap_or_default()
    }

    fn look(&self) -> Option<Rc<Look>> {
        self.0.look.upgrade()
    }

    /// The last part of where a link in its directory leads.
    pub fn link(&self, name: &str) -> Option<String> {
        self.look()?.link_name(&with(self.path(), name))
    }

    fn uevent(&self) -> Option<&str> {
        let read = || self.look()?.text(&with(self.path(), UEVENT));
        self.0.uevent.get_or_init(read).as_deref()
    }

    /// The kernel's own properties. Without a value there is no property, for udev as well.
    fn kernel_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        lines(self.uevent().unwrap_or_default())
            .filter_map(|line| line.split_once('='))
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
    }

    /// One of them.
    fn kernel_property(&self, key: &str) -> Option<&str> {
        self.kernel_values(key).next()
    }

    fn kernel_values(&self, key: &str) -> impl Iterator<Item = &str> {
        lines(self.uevent().unwrap_or_default())
            .filter_map(move |line| value(line, key))
            .filter(move |value| !key.is_empty() && !value.is_empty())
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
            read().map(Record::new).unwrap_or_default()
        })
    }

    /// What udev's database calls it.
    fn id(&self) -> Option<String> {
        if let (Some(major), Some(minor)) = (self.kernel_property("MAJOR"), self.kernel_property("MINOR")) {
            let kind = if self.subsystem() == Some("block") { "b" } else { "c" };
            return Some([kind, major, ":", minor].concat());
        }
        if let Some(index) = self.kernel_property("IFINDEX") {
            return Some(["n", index].concat());
        }
        Some(["+", self.subsystem()?, ":", name(self.path())].concat())
    }
}

fn node(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { [DEV, name].concat() }
}

/// The links to a node, as a property.
fn links(record: &Record) -> Option<String> {
    let links: Vec<String> = record.links().map(node).collect();
    (!links.is_empty()).then(|| links.join(" "))
}

/// Tags, as a property.
fn tags<'a>(tags: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut all = String::new();
    for tag in tags {
        all.push(':');
        all.push_str(tag);
    }
    all.push(':');
    (all.len() > 1).then_some(all)
}
