//! What the servers spent at one rate, as `weir capacity` left it in a results folder.

use std::{fs, path::Path};

use serde::Deserialize;
use weir_results::{
    capacity::{CapacityCost, SUMMARY},
    number::{count, estimate, number},
    stats::Estimate,
};

use crate::table::Table;

/// The part of the file that is shown here.
#[derive(Deserialize)]
struct CostsFile {
    costs: Vec<CapacityCost>,
}

/// A row for each share and server; nothing where no searches ended in `dir`, or nothing was compared.
pub(super) fn table(dir: &Path) -> Option<Table> {
    let text = fs::read_to_string(dir.join(SUMMARY)).ok()?;
    let costs = serde_json::from_str::<CostsFile>(&text).ok()?.costs;
    let three = |found: &Estimate| estimate(found, |value| number(value, 3));
    let row = |cost: &CapacityCost| {
        vec![
            cost.invalid_percent.to_string(),
            cost.placement.name().to_owned(),
            count(cost.rate),
            three(&cost.us_per_packet),
            three(&cost.core_percent),
            cost.busy_percent.as_ref().map_or("–".to_owned(), three),
        ]
    };
    let heads =
        ["invalid %", "server", "offered, packets/s", "CPU a packet, µs", "of a core, %", "core busy, %"];
    (!costs.is_empty()).then(|| Table {
        slug: "capacity-costs".to_owned(),
        title: "What the servers spend at one rate, which all of them carry".to_owned(),
        columns: heads.map(str::to_owned).to_vec(),
        rows: costs.iter().map(row).collect(),
        note: "Busy is the server's core, whoever's work it does: receiving that is steered there is charged to no process."
            .to_owned(),
    })
}
