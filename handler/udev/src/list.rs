//! From details to the list of devices that the agent gets.

use std::io;

use akri_exchange::limits;
use akri_handler_sdk::{Context, Device, DeviceSpec, Failure};
use akri_sysfs::{Sysfs, ordered};

use crate::group::grouped;
use crate::resource::{ResourceName, pci_address, usb_address, vfio_nodes};
use crate::{Details, Rule, search};

/// The property with a device's node; with groups, `_0`, `_1` and so on behind it.
const UDEV_DEVNODE: &str = "UDEV_DEVNODE";
/// The property with a device's path in sysfs.
const UDEV_DEVPATH: &str = "UDEV_DEVPATH";
/// The property of a Configuration that asks for addresses, and for which resource.
const RESOURCE_NAME: &str = "devicePluginResourceName";
/// The property of a Configuration that asks for VFIO's nodes, where it is `true`.
const VFIO_PASSTHROUGH: &str = "vfioPassthrough";
/// What VFIO's nodes are handed out with, whatever the details say: natively so.
const VFIO_PERMISSIONS: &str = "rwm";
/// The link from a PCI device to its group.
const IOMMU_GROUP: &str = "iommu_group";

/// What a look found.
#[derive(Debug)]
pub struct Found {
    /// The devices, ordered by id.
    pub devices: Vec<Device>,
    /// Devices that no agent or broker could take, each as a line that says why.
    pub left_out: Vec<String>,
    /// Whether udev's database was there.
    pub has_records: bool,
    /// How many calls of the system, or of the wasm engine, it took.
    pub calls: u64,
}

/// Finds the devices. sysfs is opened only for details that can be used.
///
/// # Errors
/// Where a rule or a property cannot be used, where there is no sysfs, or more devices than an answer may have.
pub fn discover(
    details: &Details,
    context: &Context,
    open: impl FnOnce() -> io::Result<Sysfs>,
) -> Result<Found, Failure> {
    let rules = rules(details)?;
    let wishes = Wishes::of(context)?;
    let sysfs = open().map_err(|error| {
        Failure::unavailable(format!("sysfs cannot be read: {error}; it has to be mounted in the container"))
    })?;
    let found = rules.iter().flat_map(|rule| search::devices(&sysfs, rule)).map(handed_out);
    let found = ordered(found.collect());
    let groups = if details.group_recursive {
        grouped(&found, akri_sysfs::Device::devpath)
    } else {
        found.iter().map(|device| vec![device]).collect()
    };
    if groups.len() > limits::DEVICES {
        let problem =
            format!("{} devices match, and {} are the most: narrow the rules", groups.len(), limits::DEVICES);
        return Err(Failure::unavailable(problem));
    }
    let (mut devices, mut left_out) = (Vec::with_capacity(groups.len()), Vec::new());
    for members in groups {
        let device = listed(details, &wishes, &members);
        match device.check() {
            Ok(()) => devices.push(device),
            Err(invalid) => left_out.push(format!("left out {}: {invalid}", device.id.escape_debug())),
        }
    }
    Ok(Found { devices, left_out, has_records: sysfs.has_records(), calls: sysfs.calls() })
}

/// What the Configuration's properties ask for.
struct Wishes {
    resource: Option<ResourceName>,
    vfio: bool,
}

impl Wishes {
    fn of(context: &Context) -> Result<Self, Failure> {
        let text = |name| {
            let value = context.property(name)?.bytes()?;
            Some(std::str::from_utf8(value).ok()?.trim().to_owned())
        };
        let resource = text(RESOURCE_NAME).map(|name| name.parse()).transpose();
        let resource = resource
            .map_err(|error| Failure::invalid_details(format!("property {RESOURCE_NAME}: {error}")))?;
        let vfio = text(VFIO_PASSTHROUGH).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Ok(Self { resource, vfio })
    }
}

fn rules(details: &Details) -> Result<Vec<Rule>, Failure> {
    let read = |(index, text): (usize, &String)| {
        text.parse::<Rule>().map_err(|error| {
            Failure::invalid_details(format!("rule {text:?}, {error}")).at(format!("udevRules[{index}]"))
        })
    };
    details.udev_rules.iter().enumerate().map(read).collect()
}

/// A device without a node stands for the first one above it that has one.
fn handed_out(device: akri_sysfs::Device) -> akri_sysfs::Device {
    let mut current = Some(device.clone());
    while let Some(here) = current {
        if here.has_node() {
            return here;
        }
        current = here.parent();
    }
    device
}

/// The first of the members, with the nodes of them all.
fn listed(details: &Details, wishes: &Wishes, members: &[&akri_sysfs::Device]) -> Device {
    let first = members[0];
    let id = first.devpath();
    let mut device = Device::new(id).property(UDEV_DEVPATH, id);
    let spec = |path: String, permissions: &str| DeviceSpec {
        container_path: path.clone(),
        host_path: path,
        permissions: permissions.to_owned(),
    };
    for (index, member) in members.iter().enumerate() {
        let Some(node) = member.node() else { continue };
        let suffix = if details.group_recursive { format!("_{index}") } else { String::new() };
        if let Some(resource) = &wishes.resource {
            let property = |address| (resource.usb_property() + &suffix, address);
            device.properties.extend(usb_address(&node).map(property));
        }
        device.properties.insert(UDEV_DEVNODE.to_owned() + &suffix, node.clone());
        device.device_specs.push(spec(node, details.permissions.as_str()));
    }
    if let Some((resource, address)) =
        wishes.resource.as_ref().and_then(|name| Some((name, pci_address(id)?)))
    {
        device.properties.insert(resource.pci_property(), address.to_owned());
        let group = wishes.vfio.then(|| first.link(IOMMU_GROUP)).flatten();
        for node in group.iter().flat_map(|group| vfio_nodes(group)) {
            device.device_specs.push(spec(node, VFIO_PERMISSIONS));
        }
    }
    device
}
