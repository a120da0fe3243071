//! Loop devices: they are plugged in and taken away by a call, and for the kernel and udevd that is as real as any hardware.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;

use rustix::ioctl::{IntegerSetter, NoArg, ioctl};

/// From `linux/loop.h`.
const LOOP_CTL_ADD: u32 = 0x4C80;
/// Likewise.
const LOOP_CTL_REMOVE: u32 = 0x4C81;
/// Likewise: takes away what is behind a device.
const LOOP_CLR_FD: u32 = 0x4C01;
/// The device that makes loop devices.
const CONTROL: &str = "/dev/loop-control";
/// How long [`content`] is.
const CONTENT_BYTES: usize = 8192;

/// Begins udevd on a node. Of its rules those are left out that would change the machine, whose kernel is shared.
pub const START_UDEVD: &str = "
    mkdir -p /etc/udev/rules.d
    for rules in 50-firmware 75-net-description 80-drivers 80-net-setup-link 99-systemd; do
        ln -sf /dev/null /etc/udev/rules.d/$rules.rules
    done
    udevadm control --ping --timeout=5 2>/dev/null || /usr/lib/systemd/systemd-udevd --daemon
    udevadm settle --timeout=10";

/// Puts a file with [`content`] behind a device, and makes its node as udevd makes disks' nodes: it did not when the device
/// came, for this node has a `/dev` of its own.
const ATTACH: &str = r#"
    mkdir -p /srv
    seq --format 'akri block %04g' 0 511 >"/srv/loop$1"
    rm -f "/dev/loop$1"
    mknod -m 660 "/dev/loop$1" b "$2" "$3"
    losetup "/dev/loop$1" "/srv/loop$1"
    udevadm settle --timeout=10
    chgrp disk "/dev/loop$1""#;

/// Plugs loop devices in. What is plugged in still is taken away with this value.
#[derive(Debug)]
pub struct Loops {
    control: File,
    plugged: RefCell<BTreeSet<usize>>,
}

impl Loops {
    /// Nothing is plugged in yet.
    ///
    /// # Errors
    /// Where this machine has no loop devices, or its user may not make them.
    pub fn open() -> io::Result<Self> {
        let control = File::options().read(true).write(true).open(CONTROL)?;
        Ok(Self { control, plugged: RefCell::default() })
    }

    /// Plugs the device of this number in.
    ///
    /// # Errors
    /// Where it is there already.
    pub fn plug(&self, number: usize) -> io::Result<()> {
        // SAFETY: the kernel's call takes a number, and touches no memory of ours.
        unsafe { ioctl(&self.control, IntegerSetter::<LOOP_CTL_ADD>::new_usize(number)) }?;
        self.plugged.borrow_mut().insert(number);
        Ok(())
    }

    /// Takes it away.
    ///
    /// # Errors
    /// Where it is in use, or not there.
    pub fn unplug(&self, number: usize) -> io::Result<()> {
        // SAFETY: as above.
        unsafe { ioctl(&self.control, IntegerSetter::<LOOP_CTL_REMOVE>::new_usize(number)) }?;
        self.plugged.borrow_mut().remove(&number);
        Ok(())
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        for number in self.plugged.take() {
            detach(number);
            if let Err(error) = self.unplug(number) {
                eprintln!("/dev/loop{number} is left: {error}");
            }
        }
    }
}

/// The path in sysfs, by which the handler knows it.
pub fn id(number: usize) -> String {
    format!("/devices/virtual/block/loop{number}")
}

/// What to run on a node to put [`content`] behind a device that is plugged in.
///
/// # Errors
/// Where it is not.
pub fn attach(number: usize) -> io::Result<[String; 7]> {
    let numbers = fs::read_to_string(format!("/sys/block/loop{number}/dev"))?;
    let (major, minor) = numbers.trim().split_once(':').ok_or(io::ErrorKind::InvalidData)?;
    let number = number.to_string();
    Ok(["sh", "-ec", ATTACH, "sh", &number, major, minor].map(str::to_owned))
}

/// Takes away what is behind the device.
pub fn detach(number: usize) {
    // Most often there is nothing any more.
    if let Ok(device) = File::open(format!("/dev/loop{number}")) {
        // SAFETY: the kernel's call takes nothing, and touches no memory of ours.
        let _ = unsafe { ioctl(&device, NoArg::<LOOP_CLR_FD>::new()) };
    }
}

/// What is on an attached device: no 16 bytes of it are like others.
pub fn content() -> Vec<u8> {
    let text: String = (0..CONTENT_BYTES / 16).map(|line| format!("akri block {line:04}\n")).collect();
    text.into_bytes()
}
