//! What device plug-ins of other projects need to find a device: properties with its USB or PCI address.

/// The prefix of a property with a USB address, as Akri's native handler has it.
const USB: &str = "USB_RESOURCE_";
/// The same with a PCI address.
const PCI: &str = "PCI_RESOURCE_";
/// Where USB devices have their nodes.
const USB_NODES: &str = "/dev/bus/usb/";
/// Where VFIO groups have theirs.
const VFIO: &str = "/dev/vfio/";
/// The node that opens every VFIO group.
const VFIO_CONTROL: &str = "/dev/vfio/vfio";

/// The name of a Kubernetes resource, `vendor.com/device`, as it stands in the names of properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceName(String);

impl std::str::FromStr for ResourceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_');
        if text.is_empty() || text.len() > 200 || !text.chars().all(fits) {
            return Err(format!(
                "{text:?} is no name of a resource: give letters, digits, '.', '-', '_' and '/', at most 200"
            ));
        }
        Ok(Self(text.replace(['.', '/'], "_").to_ascii_uppercase()))
    }
}

impl ResourceName {
    pub(crate) fn usb_property(&self) -> String {
        format!("{USB}{}", self.0)
    }

    pub(crate) fn pci_property(&self) -> String {
        format!("{PCI}{}", self.0)
    }
}

/// Bus and number of the USB device that has this node.
pub(crate) fn usb_address(node: &str) -> Option<String> {
    let (bus, device) = node.strip_prefix(USB_NODES)?.rsplit_once('/')?;
    let bus: u32 = bus.rsplit('/').next()?.parse().ok()?;
    Some(format!("{bus}:{}", device.parse::<u32>().ok()?))
}

/// The address of the PCI device closest to the end of a path; none for what hangs on USB.
pub(crate) fn pci_address(devpath: &str) -> Option<&str> {
    if devpath.split('/').any(|part| part.starts_with("usb")) {
        return None;
    }
    devpath.rsplit('/').find(|part| is_pci_address(part))
}

/// The nodes that pass a device of that VFIO group through.
pub(crate) fn vfio_nodes(group: &str) -> [String; 2] {
    [format!("{VFIO}{group}"), VFIO_CONTROL.to_owned()]
}

fn is_pci_address(text: &str) -> bool {
    let is_hex = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = text.splitn(3, ':');
    let (Some(domain), Some(bus), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    rest.split_once('.').is_some_and(|(slot, function)| [domain, bus, slot, function].into_iter().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found() {
        assert_eq!(usb_address("/dev/bus/usb/001/010").as_deref(), Some("1:10"));
        for none in
            ["/dev/video0", "/dev/bus/usb/", "/dev/bus/usb/001", "/dev/bus/usb/a/b", "/dev/bus/usb/1/-1"]
        {
            assert_eq!(usb_address(none), None, "{none}");
        }
        assert_eq!(pci_address("/devices/pci0000:00/0000:00:01.0/0000:01:00.0/x"), Some("0000:01:00.0"));
        assert_eq!(pci_address("/devices/pci0000:00/0000:00:14.0/usb1/1-1"), None);
        assert_eq!(pci_address("/devices/virtual/block/loop0"), None);
    }

    #[test]
    fn names_become_property_names() {
        let name: ResourceName = "akri.sh/udev-gpu".parse().unwrap();
        assert_eq!(name.usb_property(), "USB_RESOURCE_AKRI_SH_UDEV-GPU");
        assert_eq!(name.pci_property(), "PCI_RESOURCE_AKRI_SH_UDEV-GPU");
        for bad in ["", "a b", "a=b", "ä"] {
            assert!(bad.parse::<ResourceName>().is_err(), "{bad}");
        }
    }
}
