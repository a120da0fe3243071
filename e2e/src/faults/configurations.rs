//! The Configurations that the played agent has: what their details say, and which devices the handler finds for them.

/// How many devices each has.
const DEVICES: [usize; 3] = [2, 40, 1];

/// The ids of all devices, a list for each Configuration.
pub(super) fn devices() -> Vec<Vec<String>> {
    let ids =
        |(config, &count): (usize, &usize)| (0..count).map(|n| format!("device-{config}-{n}")).collect();
    DEVICES.iter().enumerate().map(ids).collect()
}

/// The discovery details of each.
pub(super) fn details() -> Vec<String> {
    devices().iter().map(|ids| format!("descriptions: [{}]", ids.join(", "))).collect()
}
