//! What a look costs: from Discover to the first list, beside a floor of the same run.
//!
//! The floor is a refused gRPC call, and the same crates natively in this program: they read the same files, for the same
//! rule, without an engine, a container and a second process.

use std::time::Instant;

use akri_handler_sdk::Context as Asked;
use akri_proxy::pb::registration_client::RegistrationClient;
use akri_sysfs::Sysfs;
use anyhow::{Context, bail};
use serde_json::json;
use udev_handler::{Details, Found};

use super::{Bench, LIMIT};
use crate::measure::{median, next, refused, request};
use crate::say::ms;

/// Looks of each rule; odd, so that there is a middle one.
const LOOKS: usize = 31;
/// A rule for which next to nothing is read: what a look costs by itself.
pub(super) const NOTHING: &str = r#"SUBSYSTEM=="none""#;
/// Rules on the machine's own devices.
pub(super) const RULES: [&str; 6] = [
    NOTHING,
    r#"SUBSYSTEM=="block""#,
    r#"KERNEL=="null""#,
    r#"KERNEL=="ttyUSB*|video*""#,
    r#"SUBSYSTEM=="tty", ATTRS{idVendor}=="0403""#,
    r#"ENV{ID_BUS}=="usb""#,
];
const HEADINGS: [&str; 8] =
    ["RULE", "DEVICES", "MEDIAN", "LEAST", "95 %", "NATIVE FLOOR", "RATIO", "CALLS A LOOK"];

/// Rules on the machine.
pub(super) async fn machine(bench: &mut Bench) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for rule in RULES {
        rows.push(row(bench, rule).await?);
    }
    bench.say.table(HEADINGS, &rows);
    Ok(())
}

async fn row(bench: &mut Bench, rule: &str) -> anyhow::Result<[String; 8]> {
    let mut client = bench.client();
    let mut nothing = RegistrationClient::new(bench.channel.clone());
    let (mut looks, mut floors) = (Vec::new(), Vec::new());
    let (mut devices, mut calls) = (0, 0);
    for number in 0..LOOKS {
        let floor = refused(&mut nothing).await?;
        let began = Instant::now();
        let found = natively(bench, rule)?;
        floors.push(floor + began.elapsed());
        (devices, calls) = (found.devices.len(), found.calls);

        // A field that nobody reads makes it a request that nobody has made yet: the handler itself has to look.
        let details = json!({ "udevRules": [rule], "bench": number }).to_string();
        let began = Instant::now();
        let asked = async {
            let mut stream = client.discover(request(details)).await?.into_inner();
            next(&mut stream).await
        };
        let listed = tokio::time::timeout(LIMIT, asked).await.context("no list in time")??;
        looks.push(began.elapsed());
        if listed != devices {
            bail!("{rule}: the handler finds {listed} devices, and natively there are {devices}");
        }
    }
    let (middle, floor) = (median(&mut looks), median(&mut floors));
    let at = |share: usize| ms(looks[(looks.len() - 1) * share / 100]);
    let ratio = format!("{:.1}", middle.as_secs_f64() / floor.as_secs_f64().max(f64::EPSILON));
    Ok([rule.to_owned(), devices.to_string(), ms(middle), at(0), at(95), ms(floor), ratio, calls.to_string()])
}

pub(super) fn natively(bench: &Bench, rule: &str) -> anyhow::Result<Found> {
    let details: Details = serde_json::from_value(json!({ "udevRules": [rule] }))?;
    let found = udev_handler::discover(&details, &Asked::for_tests(), || Sysfs::open(&bench.places, |_| ()));
    found.map_err(|failure| anyhow::anyhow!("natively: {}", failure.message))
}
