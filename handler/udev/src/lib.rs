//! Akri's udev discovery handler, in WebAssembly: the devices of this node that match udev rules.
//!
//! The same details, devices, ids, properties and device nodes as Akri's native handler, so that one can take the other's
//! place and no Instance changes its name; `docs/udev.md` lists where the two differ, and why.
//!
//! The map: `details` is what a Configuration may say, `rule` reads rules, `glob` and `regex` are the two kinds of pattern
//! in them, `search` finds the devices of a rule by asking `akri-sysfs` for as little as possible, `group` folds a device's
//! descendants into it, `resource` makes the properties for device plug-ins, `list` puts devices together.

mod details;
mod glob;
mod group;
mod list;
mod regex;
mod resource;
mod rule;
mod search;

pub use details::{Details, Permissions};
pub use list::{Found, discover};
pub use rule::{Rule, RuleError};
