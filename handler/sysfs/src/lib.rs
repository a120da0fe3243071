//! Devices as the kernel shows them in sysfs and as udev keeps them in its database, without a udev library.
//!
//! What is not asked for is not read: a call into a wasm engine costs more than most of the work between two of them. Names
//! come from directory entries, paths from links, and a file is opened only when a question needs what is in it; what was
//! read once is not read again by the same [`Sysfs`], which is one look at the machine.
//!
//! Nothing odd is an error. What is unreadable, vanished meanwhile, binary or too large is told to the caller's function
//! for that, and then counts as not there. Only a missing root is an error.
//!
//! The map: `tree_*` is how files are read (there is one for WASI and one for native), `path` where links lead, `sysfs`
//! finds devices, `look` keeps what it reads, `device` answers questions about one, `record` is what udev's database says of
//! it; `names`, `memo` and `compare` keep texts, and find them again without comparing long paths byte by byte, for which an
//! engine that interprets takes longer than for reading them.
//! This crate knows no rule, no pattern and nothing of Akri.

mod compare;
mod device;
mod look;
mod memo;
mod names;
mod path;
mod record;
mod sysfs;
#[cfg_attr(target_os = "wasi", path = "tree_wasi.rs")]
#[cfg_attr(not(target_os = "wasi"), path = "tree_native.rs")]
mod tree;

pub use device::Device;
pub use sysfs::{Places, Skipped, Sysfs, Wanted, ordered};
