//! A machine in a folder: sysfs and udev's database as far as devices are found by them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use akri_sysfs::Places;

/// Whether a subsystem keeps its devices below `bus` or `class`.
const BUSES: [&str; 4] = ["usb", "pci", "usb-serial", "hid"];

/// The folder.
pub(crate) struct Machine {
    _folder: Option<tempfile::TempDir>,
    root: PathBuf,
}

impl Machine {
    /// Without any device.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        Self { _folder: Some(folder), root }.with_roots()
    }

    /// In a folder that stays.
    pub(crate) fn at(root: &Path) -> Self {
        Self { _folder: None, root: root.to_owned() }.with_roots()
    }

    fn with_roots(self) -> Self {
        for folder in
            ["sys/bus", "sys/class", "sys/dev/char", "sys/dev/block", "sys/devices", "udev/data", "udev/tags"]
        {
            fs::create_dir_all(self.root.join(folder)).unwrap();
        }
        self
    }

    pub(crate) fn places(&self) -> Places {
        Places { sys: self.sys(), udev: self.root.join("udev") }
    }

    pub(crate) fn sys(&self) -> PathBuf {
        self.root.join("sys")
    }

    /// A device without a subsystem, as the roots of buses are.
    pub(crate) fn root_device(&self, path: &str) {
        self.file(&format!("{path}/uevent"), "");
    }

    /// A device at a path below `sys`, with its kernel properties and the links to it.
    pub(crate) fn device(&self, path: &str, subsystem: &str, properties: &[(&str, &str)]) {
        let lines: String = properties.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        self.file(&format!("{path}/uevent"), &lines);
        let folder = if BUSES.contains(&subsystem) {
            format!("bus/{subsystem}/devices")
        } else {
            format!("class/{subsystem}")
        };
        let home = folder.trim_end_matches("/devices").to_owned();
        fs::create_dir_all(self.sys().join(&folder)).unwrap();
        self.link(&format!("{path}/subsystem"), &home);
        self.link(&format!("{folder}/{}", name(path)), path);
        let value = |key: &str| properties.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        if let (Some(major), Some(minor)) = (value("MAJOR"), value("MINOR")) {
            let kind = if subsystem == "block" { "block" } else { "char" };
            self.file(&format!("{path}/dev"), format!("{major}:{minor}\n"));
            self.link(&format!("dev/{kind}/{major}:{minor}"), path);
        }
    }

    /// Binds a driver.
    pub(crate) fn driver(&self, path: &str, bus: &str, driver: &str) {
        let home = format!("bus/{bus}/drivers/{driver}");
        fs::create_dir_all(self.sys().join(&home)).unwrap();
        self.link(&format!("{path}/driver"), &home);
    }

    /// Attributes of a device.
    pub(crate) fn attributes(&self, path: &str, attributes: &[(&str, &str)]) {
        for (name, value) in attributes {
            self.file(&format!("{path}/{name}"), format!("{value}\n"));
        }
    }

    /// udev's record of a device, and its index of tags.
    pub(crate) fn record(&self, id: &str, text: &str) {
        fs::write(self.root.join("udev/data").join(id), text).unwrap();
        for tag in text.lines().filter_map(|line| line.strip_prefix("G:")) {
            let folder = self.root.join("udev/tags").join(tag);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(id), "").unwrap();
        }
    }

    /// A file below `sys`.
    pub(crate) fn file(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.sys().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// A link below `sys`, relative as sysfs has them.
    pub(crate) fn link(&self, path: &str, target: &str) {
        let up = "../".repeat(path.matches('/').count());
        let path = self.sys().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(format!("{up}{target}"), path).unwrap();
    }

    /// Takes a device away, as the kernel does.
    pub(crate) fn unplug(&self, path: &str, subsystem: &str) {
        for folder in [format!("bus/{subsystem}/devices"), format!("class/{subsystem}")] {
            let _ = fs::remove_file(self.sys().join(folder).join(name(path)));
        }
        fs::remove_dir_all(self.sys().join(path)).unwrap();
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// Where the USB controller of [`desk`] is.
pub(crate) const USB: &str = "devices/pci0000:00/0000:00:14.0/usb1";

/// A machine on a desk: two PCI functions behind a bridge, a camera with two video nodes and a microphone, a serial adapter,
/// a keyboard that is two things, a disk, and what every machine has.
pub(crate) fn desk() -> Machine {
    let machine = Machine::empty();
    furnish(&machine);
    machine
}

/// Puts all of [`desk`] into a machine.
pub(crate) fn furnish(machine: &Machine) {
    virtual_devices(machine);
    pci(machine);
    camera(machine, "1-1", 2, 0);
    // The same camera once more, at the port whose name begins like the first one's.
    camera(machine, "1-10", 7, 2);
    serial(machine);
    keyboard(machine);
    disk(machine);
}

fn virtual_devices(machine: &Machine) {
    for (name, minor) in [("null", "3"), ("zero", "5")] {
        let path = format!("devices/virtual/mem/{name}");
        machine.device(
            &path,
            "mem",
            &[("MAJOR", "1"), ("MINOR", minor), ("DEVNAME", name), ("DEVMODE", "0666")],
        );
    }
    machine.record("c1:3", "I:1000\nV:1\n");
    for minor in ["0", "1", "10"] {
        let name = format!("tty{minor}");
        let path = format!("devices/virtual/tty/{name}");
        machine.device(&path, "tty", &[("MAJOR", "4"), ("MINOR", minor), ("DEVNAME", &name)]);
    }
    machine.device("devices/virtual/net/lo", "net", &[("INTERFACE", "lo"), ("IFINDEX", "1")]);
    machine.record("n1", "I:2000\nE:ID_MM_CANDIDATE=1\nG:systemd\nQ:systemd\nV:1\n");
    machine.device(
        "devices/virtual/odd/cciss!c0d0",
        "odd",
        &[("MAJOR", "104"), ("MINOR", "0"), ("DEVNAME", "cciss/c0d0")],
    );
}

fn pci(machine: &Machine) {
    machine.root_device("devices/pci0000:00");
    let function = |path: &str, class: &str, vendor: &str, driver: &str| {
        let path = format!("devices/pci0000:00/{path}");
        let slot = name(&path).to_owned();
        machine.device(&path, "pci", &[("DRIVER", driver), ("PCI_CLASS", class), ("PCI_SLOT_NAME", &slot)]);
        machine.driver(&path, "pci", driver);
        machine.attributes(&path, &[("vendor", vendor), ("class", &format!("0x0{class}")), ("enable", "1")]);
        // A binary attribute, and one that is only written.
        machine.file(&format!("{path}/config"), [0x86, 0x80, 0xff, 0x00, 0x07]);
    };
    function("0000:00:14.0", "C0330", "0x8086", "xhci_hcd");
    function("0000:00:1c.0", "60400", "0x8086", "pcieport");
    function("0000:00:1c.0/0000:01:00.0", "20000", "0x8086", "vfio-pci");
    machine.link("devices/pci0000:00/0000:00:1c.0/0000:01:00.0/iommu_group", "kernel/iommu_groups/7");
    function("0000:00:1c.0/0000:01:00.1", "20000", "0x10ec", "r8169");
    machine.record(
        "+pci:0000:01:00.0",
        "E:ID_MODEL_FROM_DATABASE=I350 Gigabit\nE:ID_VENDOR_FROM_DATABASE=Intel\nV:1\n",
    );
}

/// A USB device at a port, with its address.
fn usb(machine: &Machine, port: &str, number: u32, product: &str, attributes: &[(&str, &str)]) -> String {
    let path = if port == "usb1" { USB.to_owned() } else { format!("{USB}/{port}") };
    let (node, minor) = (format!("bus/usb/001/{number:03}"), (number - 1).to_string());
    let properties = [
        ("MAJOR", "189"),
        ("MINOR", minor.as_str()),
        ("DEVNAME", node.as_str()),
        ("DEVTYPE", "usb_device"),
        ("DRIVER", "usb"),
        ("PRODUCT", product),
        ("BUSNUM", "001"),
    ];
    machine.device(&path, "usb", &properties);
    machine.driver(&path, "usb", "usb");
    machine.attributes(&path, attributes);
    path
}

fn interface(machine: &Machine, device: &str, number: u32, driver: &str) -> String {
    let path = format!("{device}/{}:1.{number}", name(device));
    machine.device(&path, "usb", &[("DEVTYPE", "usb_interface"), ("DRIVER", driver)]);
    machine.driver(&path, "usb", driver);
    machine.attributes(&path, &[("bInterfaceNumber", &format!("{number:02}")), ("authorized", "1")]);
    path
}

/// A camera at a port of the root hub, whose video nodes begin at `first`.
pub(crate) fn camera(machine: &Machine, port: &str, number: u32, first: u32) {
    if !machine.sys().join(USB).exists() {
        let hub = [
            ("idVendor", "1d6b"),
            ("idProduct", "0002"),
            ("bDeviceClass", "09"),
            ("product", "xHCI Host Controller"),
        ];
        usb(machine, "usb1", 1, "1d6b/2/601", &hub);
    }
    let serial = format!("SN{number:04}");
    let attributes = [
        ("idVendor", "046d"),
        ("idProduct", "0825"),
        ("product", "Webcam C270"),
        ("serial", &serial),
        ("bDeviceClass", "ef"),
    ];
    let camera = usb(machine, port, number, "46d/825/10", &attributes);
    machine.record(
        &format!("c189:{}", number - 1),
        &format!("N:bus/usb/001/{number:03}\nI:4000\nE:ID_VENDOR_ID=046d\nE:ID_MODEL_ID=0825\nE:ID_SERIAL_SHORT={serial}\nE:ID_BUS=usb\nG:seat\nQ:seat\nV:1\n"),
    );
    let control = interface(machine, &camera, 0, "uvcvideo");
    interface(machine, &camera, 1, "uvcvideo");
    for index in 0..2 {
        let (video, minor) = (format!("video{}", first + index), (first + index).to_string());
        let path = format!("{control}/video4linux/{video}");
        machine.device(&path, "video4linux", &[("MAJOR", "81"), ("MINOR", &minor), ("DEVNAME", &video)]);
        machine.attributes(&path, &[("index", &index.to_string()), ("name", "Webcam C270: Webcam C270")]);
        machine.link(&format!("{path}/device"), &control);
        let capabilities = if index == 0 { ":capture:" } else { ":" };
        machine.record(
            &format!("c81:{minor}"),
            &format!("S:v4l/by-id/usb-046d_C270_{serial}-video-index{index}\nI:5000\nE:ID_V4L_CAPABILITIES={capabilities}\nE:ID_VENDOR_ID=046d\nE:ID_BUS=usb\nE:ID_V4L_PRODUCT=\nG:uaccess\nG:seat\nQ:uaccess\nV:1\n"),
        );
    }
    let microphone = interface(machine, &camera, 2, "snd-usb-audio");
    let card = format!("{microphone}/sound/card{number}");
    machine.device(&card, "sound", &[]);
    let node = format!("snd/controlC{number}");
    let path = format!("{card}/controlC{number}");
    machine.device(&path, "sound", &[("MAJOR", "116"), ("MINOR", &number.to_string()), ("DEVNAME", &node)]);
}

fn serial(machine: &Machine) {
    let attributes =
        [("idVendor", "0403"), ("idProduct", "6001"), ("product", "FT232R USB UART"), ("serial", "A1B2C3")];
    let adapter = usb(machine, "1-2", 3, "403/6001/600", &attributes);
    machine.record("c189:2", "I:6000\nE:ID_VENDOR_ID=0403\nE:ID_BUS=usb\nV:1\n");
    let interface = interface(machine, &adapter, 0, "ftdi_sio");
    let port = format!("{interface}/ttyUSB0");
    machine.device(&port, "usb-serial", &[("DRIVER", "ftdi_sio")]);
    machine.driver(&port, "usb-serial", "ftdi_sio");
    machine.attributes(&port, &[("latency_timer", "16")]);
    let tty = format!("{port}/tty/ttyUSB0");
    machine.device(&tty, "tty", &[("MAJOR", "188"), ("MINOR", "0"), ("DEVNAME", "ttyUSB0")]);
    machine.link(&format!("{tty}/device"), &port);
    machine.record(
        "c188:0",
        "S:serial/by-id/usb-FTDI_FT232R_USB_UART_A1B2C3-if00-port0\nI:7000\nE:ID_VENDOR_ID=0403\nE:ID_MODEL_ID=6001\nE:ID_BUS=usb\nG:systemd\nQ:systemd\nV:1\n",
    );
}

/// A composite device: keyboard and mouse in one.
fn keyboard(machine: &Machine) {
    let device = usb(
        machine,
        "1-3",
        4,
        "46d/c534/2901",
        &[("idVendor", "046d"), ("idProduct", "c534"), ("product", "USB Receiver")],
    );
    for number in 0..2 {
        let interface = interface(machine, &device, number, "usbhid");
        let hid = format!("{interface}/0003:046D:C534.000{number}");
        machine.device(&hid, "hid", &[("DRIVER", "hid-generic"), ("HID_NAME", "Logitech USB Receiver")]);
        machine.driver(&hid, "hid", "hid-generic");
        let input = format!("{hid}/input/input{number}");
        machine.device(
            &input,
            "input",
            &[("PRODUCT", "3/46d/c534/111"), ("NAME", "\"Logitech USB Receiver\"")],
        );
        machine.attributes(
            &input,
            &[("name", "Logitech USB Receiver"), ("capabilities/key", "e080ffdf01cfffff fffffffffffffffe")],
        );
        let (event, minor) = (format!("event{number}"), (64 + number).to_string());
        let node = format!("input/{event}");
        let path = format!("{input}/{event}");
        machine.device(&path, "input", &[("MAJOR", "13"), ("MINOR", &minor), ("DEVNAME", &node)]);
        let kind = if number == 0 { "E:ID_INPUT_KEYBOARD=1" } else { "E:ID_INPUT_MOUSE=1" };
        machine.record(
            &format!("c13:{minor}"),
            &format!("I:8000\nE:ID_INPUT=1\n{kind}\nG:power-switch\nQ:power-switch\nV:1\n"),
        );
    }
}

fn disk(machine: &Machine) {
    let disk = "devices/pci0000:00/0000:00:1c.0/0000:01:00.1/virtio0/block/vda";
    machine.device(
        disk,
        "block",
        &[("MAJOR", "254"), ("MINOR", "0"), ("DEVNAME", "vda"), ("DEVTYPE", "disk"), ("DISKSEQ", "1")],
    );
    machine.attributes(disk, &[("size", "2048"), ("ro", "0"), ("queue/rotational", "0"), ("empty", "")]);
    machine.link(&format!("{disk}/device"), "devices/pci0000:00/0000:00:1c.0/0000:01:00.1");
    let partition = format!("{disk}/vda1");
    machine.device(
        &partition,
        "block",
        &[("MAJOR", "254"), ("MINOR", "1"), ("DEVNAME", "vda1"), ("DEVTYPE", "partition"), ("PARTN", "1")],
    );
    machine.attributes(&partition, &[("size", "1024"), ("partition", "1")]);
    machine.record(
        "b254:0",
        "S:disk/by-id/virtio-x\nI:9000\nE:ID_SERIAL=x\nE:SYSTEMD_READY=0\nG:systemd\nQ:systemd\nV:1\n",
    );
}

/// So many devices with nodes, each in a place of its own, for figures.
pub(crate) fn many(count: u32) -> Machine {
    let machine = Machine::empty();
    for number in 0..count {
        // By hand, for the ordinary way makes links that nobody here follows.
        let name = format!("gadget{number}");
        let path = format!("devices/platform/bus{}/{name}", number % 97);
        machine.file(&format!("{path}/uevent"), format!("MAJOR=240\nMINOR={number}\nDEVNAME={name}\n"));
        machine.link(&format!("class/gadget/{name}"), &path);
    }
    machine
}
